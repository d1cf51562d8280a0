"""Auth: users, roles, permissions; who may do what once it is enabled."""

from typing import Any, Final

from raftwerk.conformance.reasons import (
    TOKEN_WITHOUT_AUTH,
)
from raftwerk.conformance.steps import (
    Also,
    Call,
    Case,
    Needs,
    Plain,
    Step,
    call,
    refused,
    setup,
)

ROOT: Final = "root"
HEADER_0: Final[Plain] = {"revision": "R+0", "ids": "set"}
DENIED_TEXT: Final = "etcdserver: permission denied"
NO_USER_TEXT: Final = "etcdserver: user name is empty"
DENIED: Final = refused("PERMISSION_DENIED", DENIED_TEXT)
NOBODY: Final = refused("INVALID_ARGUMENT", NO_USER_TEXT)


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
CASES: Final = (USERS, ROLES, ENABLE, OWN, CHANGES, NO_PASSWORD)
