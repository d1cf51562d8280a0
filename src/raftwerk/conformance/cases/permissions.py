"""Who may do what once auth is enabled: keys, transactions, leases, watches, administration."""

from collections.abc import Callable
from typing import Any, Final

from raftwerk.conformance.cases.auth import (
    DENIED,
    DENIED_TEXT,
    ENABLED,
    NO_USER_TEXT,
    NOBODY,
    ROOT,
    user,
)
from raftwerk.conformance.cases.keys import ALL
from raftwerk.conformance.cases.txns import delete, get, nested, put
from raftwerk.conformance.reasons import (
    ADMINISTRATION,
    LEASE_KEYS,
    NESTED_TXN,
    OTHER_TEXT,
    TXN_PUT,
    WATCH_FROM_KEY,
    WATCH_ID,
    WATCH_REASON,
)
from raftwerk.conformance.steps import (
    Also,
    Call,
    Case,
    End,
    Hear,
    Http,
    Needs,
    Open,
    Say,
    Step,
    call,
)


def permitted(name: str, *steps: Step) -> Case:
    """With auth enabled."""
    return Case(f"permissions/{name}", (*ENABLED, *steps), Needs.AUTH)


NO_TOKEN: Final = permitted(
    "token",
    call("KV.Put", key="a"),
    call("KV.Range", key="a"),
    call("KV.Range", key="a", serializable=True),
    call("KV.Txn"),
    Also(call("KV.Compact", revision="R+1000"), ADMINISTRATION, NOBODY),
    call("Lease.LeaseGrant", ID="L+3", TTL=60),
    Also(call("Lease.LeaseTimeToLive", ID="L+1", keys=True), LEASE_KEYS, NOBODY),
    call("Lease.LeaseRevoke", ID="L+9"),
    call("Cluster.MemberList"),
    call("Maintenance.Status"),
    call("Maintenance.Alarm"),
    *(
        Call(method="KV.Put", fields={"key": "a"}, metadata=metadata)
        for metadata in (
            (("token", "nonsense"),),
            (("token", ""),),
            (("token", "nonsense.1"),),
            (("authorization", "Bearer nonsense"),),
        )
    ),
    call("Health.Check"),
)
KEYS: Final = permitted(
    "keys",
    *(
        user("u", "KV.Range", **fields)
        for fields in (
            {"key": "a"},
            {"key": "a", "range_end": "c"},
            {"key": "a", "range_end": "d"},
            {"key": "a", "range_end": "\0"},
            {"key": "\0", "range_end": "\0"},
            {"key": "c"},
            {"key": "c", "serializable": True},
            {"key": "a", "serializable": True, "count_only": True},
            {"key": "rr"},
            {"key": "ww"},
        )
    ),
    *(
        user("u", "KV.Put", **fields)
        for fields in (
            {"key": "a"},
            {"key": "c"},
            {"key": "rr"},
            {"key": "ww"},
            {"key": "ww", "prev_kv": True},
            {"key": "ww", "ignore_value": True},
            {"key": "b", "prev_kv": True},
            {"key": ""},
        )
    ),
    *(
        user("u", "KV.DeleteRange", **fields)
        for fields in (
            {"key": "a", "prev_kv": True},
            {"key": "a", "range_end": "\0"},
            {"key": "ww", "prev_kv": True},
            {"key": "ww"},
            {"key": "rr"},
        )
    ),
    user(ROOT, "KV.Put", key="z", value="x"),
    user(ROOT, "KV.Range", **ALL),
)
TXNS: Final = permitted(
    "txns",
    *(
        user("u", "KV.Txn", **fields)
        for fields in (
            {},
            {"success": [put("a"), get("b")]},
            {"success": [put("z")]},
            {"success": [get("a")], "failure": [put("z")]},
            {"success": [get("z")]},
            {"compare": [{"key": "z", "target": "VERSION"}], "success": [put("a")]},
            {"compare": [{"key": "a", "range_end": "d", "target": "VERSION"}]},
            {"compare": [{"key": "ww", "target": "VALUE", "value": "x"}]},
            {"success": [delete("ww")]},
            {"success": [delete("ww", prev_kv=True)]},
            {"success": [get("a", serializable=True)]},
        )
    ),
    *(
        Also(user("u", "KV.Txn", **fields), NESTED_TXN, DENIED)
        for fields in (
            {"success": [nested(get("z"))]},
            {"success": [nested(put("a"), compare=[{"key": "z", "target": "VERSION"}])]},
            {"success": [nested(put("z"))]},
        )
    ),
)
TXN_PUTS: Final = permitted(
    "txn_puts",
    *(
        Also(user("u", "KV.Txn", success=[operation]), TXN_PUT, DENIED)
        for operation in (
            put("ww", prev_kv=True),
            put("a", lease="L+2"),
            nested(put("a", lease="L+2")),
        )
    ),
)
LEASES: Final = permitted(
    "leases",
    user("u", "Lease.LeaseGrant", ID="L+3", TTL=60),
    user("u", "KV.Put", key="a", lease="L+1"),
    user("u", "KV.Put", key="a", lease="L+2"),
    user("u", "KV.Put", key="a", lease="L+3"),
    user("u", "KV.Put", key="a", lease="L+9"),
    user("u", "Lease.LeaseTimeToLive", ID="L+1", keys=True),
    Also(user("u", "Lease.LeaseTimeToLive", ID="L+2", keys=True), LEASE_KEYS, DENIED),
    user("u", "Lease.LeaseTimeToLive", ID="L+2"),
    user("u", "Lease.LeaseTimeToLive", ID="L+9", keys=True),
    user("u", "Lease.LeaseLeases"),
    user("u", "Lease.LeaseRevoke", ID="L+2"),
    user("u", "Lease.LeaseRevoke", ID="L+3"),
    user("u", "Lease.LeaseRevoke", ID="L+9"),
    user(ROOT, "Lease.LeaseRevoke", ID="L+2"),
    user(ROOT, "KV.Range", **ALL),
)
ADMIN: Final = permitted(
    "administration",
    user("u", "Maintenance.Alarm"),
    user("u", "Maintenance.Status"),
    user("u", "Cluster.MemberList"),
    *(
        Also(user("u", f"Maintenance.{name}"), OTHER_TEXT, DENIED)
        for name in ("Hash", "HashKV", "Defragment")
    ),
    Open(method="Maintenance.Snapshot", data=b"", token="u"),
    Also(End(), OTHER_TEXT, {"ended": DENIED}),
    *(
        Also(user("u", method, **fields), ADMINISTRATION, DENIED)
        for method, fields in (
            ("KV.Compact", {"revision": "R+1000"}),
            ("Maintenance.MoveLeader", {"targetID": 1}),
            (
                "Maintenance.Alarm",
                {"action": "ACTIVATE", "memberID": 5, "alarm": "NOSPACE"},
            ),
        )
    ),
)


def watch(token: str, answer: Callable[[Step], Step], **fields: Any) -> tuple[Step, ...]:
    """One watcher, on a stream of its own."""
    name = f"stream of {token or 'nobody'} {fields}"
    return (
        Open(method="Watch.Watch", token=token, name=name),
        Say({"create_request": fields}, name),
        answer(Hear(1, name)),
    )


def told(step: Step) -> Step:
    return step


def denied(
    step: Step, reason: str = WATCH_ID, text: str = f"PermissionDenied desc = {DENIED_TEXT}"
) -> Step:
    answer = {
        "header": {"revision": "R+3", "ids": "set"},
        "watch_id": -1,
        "created": True,
        "canceled": True,
        "cancel_reason": f"rpc error: code = {text}",
    }
    return Also(step, reason, {"heard": [answer]})


WATCH: Final = permitted(
    "watch",
    *watch("u", told, key="a", watch_id=1),
    *watch("u", told, key="a", range_end="c", watch_id=2),
    *watch("u", denied, key="a", range_end="d"),
    *watch("u", denied, key="z"),
    *watch("u", denied),
    *watch("u", denied, key="ww"),
    *watch("u", lambda step: denied(step, WATCH_FROM_KEY), key="a", range_end="\0"),
    *watch(
        "",
        lambda step: denied(step, WATCH_REASON, f"InvalidArgument desc = {NO_USER_TEXT}"),
        key="a",
    ),
)
GATEWAY: Final = permitted(
    "gateway",
    Http("POST", "/v3/kv/range", '{"key":"<key:a>"}'),
    Http("POST", "/v3/auth/authenticate", '{"name":"u","password":"wrong"}'),
    Http("POST", "/v3/auth/authenticate", '{"name":"u","password":"u"}'),
    Http("POST", "/v3/auth/status", "{}"),
    Http("POST", "/v3/auth/user/list", "{}"),
)
CASES: Final = (NO_TOKEN, KEYS, TXNS, TXN_PUTS, LEASES, ADMIN, WATCH, GATEWAY)
