"""Maintenance, Cluster, health checks, and what metadata says."""

from typing import Final

from raftwerk.conformance.cases.txns import get, put
from raftwerk.conformance.reasons import TOKEN_WITHOUT_AUTH, TWO_ALARMS
from raftwerk.conformance.steps import (
    Also,
    Call,
    Case,
    Hear,
    Needs,
    Open,
    Plain,
    Step,
    call,
    refused,
    setup,
)


def case(name: str, *steps: Step, needs: Needs = Needs.NOTHING) -> Case:
    return Case(f"cluster/{name}", steps, needs)


NO_SPACE: Final[Plain] = {"memberID": 5, "alarm": "NOSPACE"}
CORRUPT: Final[Plain] = {"memberID": 6, "alarm": "CORRUPT"}


def alarm(action: str, alarm: Plain) -> Call:
    return call("Maintenance.Alarm", action=action, **alarm)


NO_ROOM: Final = refused("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded")
ASKED: Final = (
    call("KV.Put", key="a"),
    call("KV.Txn", success=[put("a")]),
    call("KV.Txn", failure=[put("a")]),
    call("KV.Txn", success=[get("a")]),
    call("KV.Range", key="a"),
    call("KV.Range", key="a", serializable=True),
    call("KV.DeleteRange", key="a"),
    call("KV.Compact", revision="R+1000"),
    call("Lease.LeaseGrant", ID="L+2", TTL=60),
    call("Lock.Lock", name="n", lease="L+1"),
    call("Election.Campaign", name="e", lease="L+1"),
    call("Lease.LeaseRevoke", ID="L+1"),
    call("Lease.LeaseTimeToLive", ID="L+3"),
    call("Health.Check"),
)
"""Under an alarm."""
MAINTENANCE: Final = (
    case("status", call("Maintenance.Status")),
    case(
        "hash",
        setup("KV.Put", key="a"),
        call("Maintenance.Hash"),
        call("Maintenance.HashKV", revision="R+1000"),
    ),
    case("alarms", alarm("GET", {}), alarm("DEACTIVATE", NO_SPACE), alarm("ACTIVATE", {})),
    case(
        "no_space",
        setup("Lease.LeaseGrant", ID="L+1", TTL=60),
        alarm("ACTIVATE", NO_SPACE),
        alarm("ACTIVATE", NO_SPACE),
        alarm("GET", {}),
        alarm("GET", {"alarm": "CORRUPT"}),
        *ASKED,
        call("Maintenance.Status"),
        alarm("DEACTIVATE", CORRUPT),
        alarm("DEACTIVATE", NO_SPACE),
        alarm("DEACTIVATE", NO_SPACE),
        call("KV.Put", key="a"),
        needs=Needs.DISTURBING,
    ),
    case(
        "corrupt",
        setup("Lease.LeaseGrant", ID="L+1", TTL=60),
        alarm("ACTIVATE", CORRUPT),
        alarm("GET", {}),
        alarm("GET", {"alarm": "CORRUPT"}),
        *ASKED,
        call("Maintenance.Status"),
        alarm("DEACTIVATE", CORRUPT),
        call("KV.Put", key="a"),
        needs=Needs.DISTURBING,
    ),
    case(
        "both_alarms",
        alarm("ACTIVATE", NO_SPACE),
        alarm("ACTIVATE", CORRUPT),
        alarm("GET", {"alarm": "NOSPACE"}),
        call("KV.Put", key="a"),
        alarm("DEACTIVATE", CORRUPT),
        Also(call("KV.Put", key="a"), TWO_ALARMS, NO_ROOM),
        needs=Needs.DISTURBING,
    ),
    case("defragment", call("Maintenance.Defragment"), needs=Needs.DISTURBING),
    case(
        "downgrade",
        *(
            call("Maintenance.Downgrade", action=action, version=version)
            for action, version in (
                *(("VALIDATE", one) for one in ("3.4.0", "3.4", "3.3.0", "3.6.0", "x", "")),
                ("ENABLE", "3.3.0"),
                ("CANCEL", ""),
            )
        ),
    ),
)
MEMBERS: Final = (
    case(
        "member_list",
        call("Cluster.MemberList"),
        call("Cluster.MemberList", linearizable=True),
    ),
)
HEALTH: Final = (
    case("health", call("Health.Check"), call("Health.Check", service="x")),
    Case(
        "cluster/health_watch_of_unknown",
        (Open(method="Health.Watch", fields={"service": "x"}), Hear(1)),
    ),
)
METADATA: Final = (
    case(
        "metadata",
        *(
            Call(method=method, fields={"key": "a"}, metadata=metadata)
            for method in ("KV.Put", "KV.Range")
            for metadata in (
                (("hasleader", "true"),),
                (("hasleader", "false"),),
                (("client-api-version", "3.5.0"),),
            )
        ),
    ),
    case(
        "token_without_auth",
        *(
            Also(
                Call(method="KV.Range", fields={"key": "a"}, metadata=metadata),
                TOKEN_WITHOUT_AUTH,
                {"reply": {"header": {"revision": "R+0", "ids": "set"}}},
            )
            for metadata in ((("token", "unknown"),), (("authorization", "Bearer unknown"),))
        ),
    ),
)
CASES: Final = (*MAINTENANCE, *MEMBERS, *HEALTH, *METADATA)
