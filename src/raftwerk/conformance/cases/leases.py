"""Lease: ids, times, the keys of a lease; what it is to other requests."""

from typing import Any, Final

from raftwerk.conformance.cases.keys import LOOK
from raftwerk.conformance.cases.txns import put
from raftwerk.conformance.steps import Case, End, HalfClose, Hear, Open, Say, Step, call, setup

GRANTED: Final = (
    setup("Lease.LeaseGrant", ID="L+1", TTL=1000),
    setup("Lease.LeaseGrant", ID="L+2", TTL=1000),
)
KEYS_OF_1: Final = call("Lease.LeaseTimeToLive", ID="L+1", keys=True)


def case(name: str, *steps: Step) -> Case:
    return Case(f"leases/{name}", (*GRANTED, *steps))


def has_lease(lease: int | str) -> dict[str, Any]:
    return {"target": "LEASE", "key": "k", "lease": lease}


LIVES: Final = (
    case(
        "ids",
        call("Lease.LeaseGrant", ID="L+3", TTL=50),
        call("Lease.LeaseGrant", ID="L+3", TTL=50),
        call("Lease.LeaseRevoke", ID="L+3"),
        call("Lease.LeaseRevoke", ID="L+3"),
        call("Lease.LeaseGrant", ID="L+3", TTL=70),
        call("Lease.LeaseRevoke"),
        call("Lease.LeaseGrant", TTL=50),
    ),
    case(
        "ids_below_zero",
        call("Lease.LeaseGrant", ID=-3, TTL=50),
        call("Lease.LeaseGrant", ID=-3, TTL=50),
        call("KV.Put", key="k", lease=-3),
        LOOK,
        call("Lease.LeaseTimeToLive", ID=-3, keys=True),
        call("Lease.LeaseRevoke", ID=-3),
        call("Lease.LeaseRevoke", ID=-3),
    ),
    case(
        "times",
        call("Lease.LeaseGrant", ID="L+3", TTL=9_000_000_000),
        call("Lease.LeaseGrant", ID="L+4", TTL=9_000_000_001),
        call("Lease.LeaseGrant", ID="L+1", TTL=9_000_000_001),
        call("Lease.LeaseGrant", ID="L+1", TTL=-1),
        call("Lease.LeaseGrant", ID="L+5", TTL=100),
        call("Lease.LeaseTimeToLive", ID="L+5"),
    ),
    case(
        "time_to_live",
        call("KV.Put", key="c", lease="L+1"),
        call("KV.Put", key="a", lease="L+1"),
        KEYS_OF_1,
        call("Lease.LeaseTimeToLive", ID="L+1"),
        call("Lease.LeaseTimeToLive", ID="L+2", keys=True),
        call("Lease.LeaseTimeToLive", ID="L+9", keys=True),
        call("Lease.LeaseTimeToLive"),
    ),
    case(
        "list",
        call("Lease.LeaseLeases"),
        call("Lease.LeaseRevoke", ID="L+1"),
        call("Lease.LeaseLeases"),
    ),
    case(
        "keep_alive",
        Open(method="Lease.LeaseKeepAlive"),
        *(Say({"ID": lease}) for lease in ("L+1", "L+9", 0, "L+2", "L+1")),
        Hear(1),
        Hear(1),
        Hear(1),
        Hear(1),
        Hear(1),
        call("Lease.LeaseRevoke", ID="L+1"),
        Say({"ID": "L+1"}),
        Hear(1),
        HalfClose(),
        End(),
    ),
)
ATTACHED: Final = (
    case(
        "put_with_unknown",
        call("KV.Put", key="k", lease="L+9"),
        call("KV.Put", key="k", lease="L+9", ignore_value=True),
        call("KV.Txn", success=[put("x"), put("k", lease="L+9")]),
        LOOK,
    ),
    case(
        "put_moves_a_key",
        call("KV.Put", key="k", lease="L+1"),
        call("KV.Put", key="k", value="v", ignore_lease=True),
        KEYS_OF_1,
        call("KV.Put", key="k", lease="L+2"),
        KEYS_OF_1,
        call("KV.Put", key="k", lease="L+1", ignore_value=True, prev_kv=True),
        call("Lease.LeaseRevoke", ID="L+2"),
        KEYS_OF_1,
        call("KV.Put", key="k"),
        KEYS_OF_1,
        call("Lease.LeaseRevoke", ID="L+1"),
        LOOK,
    ),
    case(
        "revoke_deletes_in_one_revision",
        call("KV.Put", key="c", lease="L+1"),
        call("KV.Put", key="a", lease="L+1"),
        call("KV.Put", key="b", lease="L+2"),
        call("Lease.LeaseRevoke", ID="L+1"),
        LOOK,
        call("KV.Put", key="a"),
    ),
    case(
        "deleted_key_is_not_attached",
        call("KV.Put", key="k", lease="L+1"),
        call("KV.DeleteRange", key="k"),
        KEYS_OF_1,
        call("KV.Put", key="k"),
        call("Lease.LeaseRevoke", ID="L+1"),
        LOOK,
    ),
    case(
        "txn_compares",
        *(
            call(
                "KV.Txn",
                compare=[has_lease("L+1")],
                success=[put("k", lease="L+2")],
                failure=[put("k", lease=lease)],
            )
            for lease in ("L+1", "L+1", "L+9")
        ),
        call("KV.Txn", compare=[{**has_lease("L+2"), "result": "LESS"}]),
        call("KV.Txn", compare=[{**has_lease("L+1"), "result": "GREATER"}]),
        call("KV.Txn", compare=[{**has_lease("L+1"), "result": "NOT_EQUAL"}]),
        LOOK,
    ),
)
CASES: Final = (*LIVES, *ATTACHED)
