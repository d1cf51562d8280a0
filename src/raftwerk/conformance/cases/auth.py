"""Auth: users, roles, permissions; who may do what once it is enabled."""

from collections.abc import Callable
from typing import Any, Final

from raftwerk.conformance.cases.keys import ALL
from raftwerk.conformance.cases.txns import delete, get, nested, put
from raftwerk.conformance.reasons import (
    ADMINISTRATION,
    LEASE_KEYS,
    NESTED_TXN,
    OTHER_TEXT,
    TOKEN_WITHOUT_AUTH,
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
    Plain,
    Say,
    Step,
    call,
    refused,
    setup,
)

ROOT: Final = "root"
HEADER_0: Final[Plain] = {"revision": "R+0", "ids": "set"}
_DENIED: Final = "etcdserver: permission denied"
_NO_USER: Final = "etcdserver: user name is empty"
DENIED: Final = refused("PERMISSION_DENIED", _DENIED)
NOBODY: Final = refused("INVALID_ARGUMENT", _NO_USER)


def case(name: str, *steps: Step) -> Case:
    return Case(f"auth/{name}", steps, Needs.AUTH)


def user(name: str, method: str, /, **fields: Any) -> Call:
    """A call with that user's token."""
    return Call(method=method, fields=fields, token=name)


def log_in(name: str, password: str = "") -> Call:
    """Its own name is its password, unless another is given."""
    return Call(
        method="Auth.Authenticate",
        fields={"name": name, "password": password or name},
        keep=name,
    )


def permission(kind: str, key: str, range_end: str = "") -> dict[str, Any]:
    return {"permType": kind, "key": key, "range_end": range_end}


def may(role: str, kind: str, key: str, range_end: str = "") -> Call:
    return call("Auth.RoleGrantPermission", name=role, perm=permission(kind, key, range_end))


def may_not(role: str, key: str, range_end: str = "") -> Call:
    return call("Auth.RoleRevokePermission", role=role, key=key, range_end=range_end)


ENABLED: Final = (
    setup("Auth.UserAdd", name="root", password="root"),
    setup("Auth.UserAdd", name="u", password="u"),
    setup("Auth.RoleAdd", name="r"),
    setup("Auth.RoleGrantPermission", name="r", perm=permission("READWRITE", "a", "c")),
    setup("Auth.RoleGrantPermission", name="r", perm=permission("READ", "rr")),
    setup("Auth.RoleGrantPermission", name="r", perm=permission("WRITE", "ww")),
    setup("Auth.UserGrantRole", user="u", role="r"),
    setup("Auth.UserGrantRole", user="root", role="root"),
    setup("Lease.LeaseGrant", ID="L+1", TTL=600),
    setup("Lease.LeaseGrant", ID="L+2", TTL=600),
    setup("KV.Put", key="a", value="1", lease="L+1"),
    setup("KV.Put", key="z", value="2", lease="L+2"),
    setup("KV.Put", key="ww", value="3"),
    setup("Auth.AuthEnable"),
    log_in("root"),
    log_in("u"),
)
"""u may write and read from a to c, read rr, write ww."""
USERS: Final = case(
    "users",
    call("Auth.UserAdd", name="u", password="p"),
    call("Auth.UserAdd", name="u", password="p"),
    call("Auth.UserAdd", password="p"),
    call("Auth.UserAdd", name="v"),
    call("Auth.UserAdd", name="n", options={"no_password": True}),
    call("Auth.UserAdd", name="n", options={"no_password": True}),
    call("Auth.UserList"),
    call("Auth.UserGet", name="u"),
    call("Auth.UserGet", name="nobody"),
    call("Auth.UserGet"),
    call("Auth.UserDelete", name="n"),
    call("Auth.UserDelete", name="n"),
    call("Auth.UserDelete"),
    call("Auth.UserGrantRole", user="u", role="nothing"),
    call("Auth.UserGrantRole", user="nobody", role="root"),
    call("Auth.UserGrantRole", user="u", role="root"),
    call("Auth.UserGrantRole", user="u", role="root"),
    call("Auth.RoleAdd", name="r"),
    call("Auth.UserGrantRole", user="u", role="r"),
    call("Auth.UserGet", name="u"),
    call("Auth.UserRevokeRole", name="u", role="nothing"),
    call("Auth.UserRevokeRole", name="nobody", role="root"),
    call("Auth.UserRevokeRole", name="u", role="root"),
    call("Auth.UserRevokeRole", name="u", role="root"),
    call("Auth.UserChangePassword", name="u", password="q"),
    call("Auth.UserChangePassword", name="nobody", password="q"),
    call("Auth.UserChangePassword", name="u"),
    call("Auth.RoleDelete", role="r"),
    call("Auth.UserGet", name="u"),
    call("Auth.UserList"),
    call("Auth.Authenticate", name="u", password="q"),
)
ROLES: Final = case(
    "roles",
    call("Auth.RoleAdd", name="r"),
    call("Auth.RoleAdd", name="r"),
    call("Auth.RoleAdd"),
    call("Auth.RoleList"),
    call("Auth.RoleGet", role="r"),
    call("Auth.RoleGet", role="nothing"),
    call("Auth.RoleGet", role="root"),
    may("r", "READ", "a"),
    may("r", "WRITE", "b", "c"),
    may("r", "READWRITE", "p", "q"),
    may("r", "READ", "z", "\0"),
    may("r", "READWRITE", "a"),
    may("r", "READ", "c", "b"),
    may("r", "READ", "b", "b"),
    may("nothing", "READ", "a"),
    call("Auth.RoleGrantPermission", name="r"),
    call("Auth.RoleGet", role="r"),
    may_not("r", "a"),
    may_not("r", "a"),
    may_not("r", "b"),
    may_not("r", "b", "c"),
    may_not("r", "z", "\0"),
    may_not("nothing", "a"),
    call("Auth.RoleGet", role="r"),
    call("Auth.RoleDelete", role="r"),
    call("Auth.RoleDelete", role="r"),
    call("Auth.RoleList"),
)
ENABLE: Final = case(
    "enable",
    call("Auth.AuthStatus"),
    call("Auth.AuthDisable"),
    call("Auth.Authenticate", name="root", password="root"),
    call("Auth.AuthEnable"),
    call("Auth.UserAdd", name="root", password="root"),
    call("Auth.AuthEnable"),
    call("Auth.UserGrantRole", user="root", role="root"),
    call("Auth.RoleList"),
    call("Auth.RoleGet", role="root"),
    call("Auth.AuthEnable"),
    call("Auth.AuthEnable"),
    call("Auth.AuthStatus"),
    call("Auth.UserList"),
    call("Auth.Authenticate", name="root", password="wrong"),
    call("Auth.Authenticate", name="nobody", password="root"),
    call("Auth.Authenticate", name="root"),
    call("Auth.Authenticate"),
    log_in("root"),
    user(ROOT, "Auth.AuthStatus"),
    user(ROOT, "Auth.AuthEnable"),
    user(ROOT, "Auth.UserDelete", name="root"),
    user(ROOT, "Auth.UserRevokeRole", name="root", role="root"),
    user(ROOT, "Auth.RoleDelete", role="root"),
    user(ROOT, "Auth.RoleGet", role="root"),
    user(ROOT, "Auth.AuthDisable"),
    *(
        Also(step, TOKEN_WITHOUT_AUTH, {"reply": {"header": HEADER_0}})
        for step in (user(ROOT, "Auth.AuthDisable"), user(ROOT, "KV.Range", key="a"))
    ),
)
NO_TOKEN: Final = case(
    "token",
    *ENABLED,
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
KEYS: Final = case(
    "keys",
    *ENABLED,
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
TXNS: Final = case(
    "txns",
    *ENABLED,
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
TXN_PUTS: Final = case(
    "txn_puts",
    *ENABLED,
    *(
        Also(user("u", "KV.Txn", success=[operation]), TXN_PUT, DENIED)
        for operation in (
            put("ww", prev_kv=True),
            put("a", lease="L+2"),
            nested(put("a", lease="L+2")),
        )
    ),
)
LEASES: Final = case(
    "leases",
    *ENABLED,
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
OWN: Final = case(
    "own_user_and_role",
    *ENABLED,
    user("u", "Auth.UserGet", name="u"),
    user("u", "Auth.UserGet", name="root"),
    user("u", "Auth.UserGet", name="nobody"),
    user("u", "Auth.RoleGet", role="r"),
    user("u", "Auth.RoleGet", role="root"),
    user("u", "Auth.RoleGet", role="nothing"),
    *(
        user("u", method, **fields)
        for method, fields in (
            ("Auth.UserList", {}),
            ("Auth.UserAdd", {"name": "x", "password": "y"}),
            ("Auth.UserDelete", {"name": "u"}),
            ("Auth.UserChangePassword", {"name": "u", "password": "v"}),
            ("Auth.UserGrantRole", {"user": "u", "role": "root"}),
            ("Auth.UserRevokeRole", {"name": "u", "role": "r"}),
            ("Auth.RoleList", {}),
            ("Auth.RoleAdd", {"name": "s"}),
            ("Auth.RoleDelete", {"role": "r"}),
            ("Auth.RoleGrantPermission", {"name": "r", "perm": permission("READ", "z")}),
            ("Auth.RoleRevokePermission", {"role": "r", "key": "rr"}),
            ("Auth.AuthEnable", {}),
            ("Auth.AuthDisable", {}),
            ("Auth.AuthStatus", {}),
        )
    ),
)
ADMIN: Final = case(
    "administration",
    *ENABLED,
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
CHANGES: Final = case(
    "changes",
    *ENABLED,
    user("u", "KV.Put", key="a", value="2"),
    user(ROOT, "Auth.RoleRevokePermission", role="r", key="a", range_end="c"),
    user("u", "KV.Put", key="a", value="3"),
    user("u", "KV.Range", key="rr"),
    user(ROOT, "Auth.UserRevokeRole", name="u", role="r"),
    user("u", "KV.Range", key="rr"),
    user(ROOT, "Auth.UserGrantRole", user="u", role="root"),
    user("u", "KV.Put", key="z", value="4"),
    user("u", "Auth.UserList"),
    user(ROOT, "Auth.UserChangePassword", name="u", password="v"),
    user("u", "KV.Range", key="a"),
    log_in("u"),
    log_in("u", "v"),
    user("u", "KV.Range", key="a"),
    user(ROOT, "Auth.UserDelete", name="u"),
    user("u", "KV.Range", key="a"),
    log_in("u", "v"),
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
    step: Step, reason: str = WATCH_ID, text: str = f"PermissionDenied desc = {_DENIED}"
) -> Step:
    answer = {
        "header": {"revision": "R+3", "ids": "set"},
        "watch_id": -1,
        "created": True,
        "canceled": True,
        "cancel_reason": f"rpc error: code = {text}",
    }
    return Also(step, reason, {"heard": [answer]})


WATCH: Final = case(
    "watch",
    *ENABLED,
    *watch("u", told, key="a", watch_id=1),
    *watch("u", told, key="a", range_end="c", watch_id=2),
    *watch("u", denied, key="a", range_end="d"),
    *watch("u", denied, key="z"),
    *watch("u", denied),
    *watch("u", denied, key="ww"),
    *watch("u", lambda step: denied(step, WATCH_FROM_KEY), key="a", range_end="\0"),
    *watch(
        "",
        lambda step: denied(step, WATCH_REASON, f"InvalidArgument desc = {_NO_USER}"),
        key="a",
    ),
)
NO_PASSWORD: Final = case(
    "no_password",
    *ENABLED,
    user(ROOT, "Auth.UserAdd", name="n", options={"no_password": True}),
    call("Auth.Authenticate", name="n", password="n"),
    call("Auth.Authenticate", name="n"),
    user(ROOT, "Auth.UserChangePassword", name="n", password="n"),
    call("Auth.Authenticate", name="n", password="n"),
    log_in("n"),
    user("n", "KV.Range", key="a"),
    user("n", "Auth.UserGet", name="n"),
)
GATEWAY: Final = case(
    "gateway",
    *ENABLED,
    Http("POST", "/v3/kv/range", '{"key":"<key:a>"}'),
    Http("POST", "/v3/auth/authenticate", '{"name":"u","password":"wrong"}'),
    Http("POST", "/v3/auth/authenticate", '{"name":"u","password":"u"}'),
    Http("POST", "/v3/auth/status", "{}"),
    Http("POST", "/v3/auth/user/list", "{}"),
)
CASES: Final = (
    USERS,
    ROLES,
    ENABLE,
    NO_TOKEN,
    KEYS,
    TXNS,
    TXN_PUTS,
    LEASES,
    OWN,
    ADMIN,
    CHANGES,
    WATCH,
    NO_PASSWORD,
    GATEWAY,
)
