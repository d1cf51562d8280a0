"""Users, roles and permissions: replicated state like all other, so that every member allows and refuses alike.

What a command may do is decided when it is applied, against the state that all commands before it have made: it carries who
proposed it, and at which auth revision that was known. Every change counts the auth revision up, and what was proposed before
the change is refused; its client tries again.

AUTH: "u" and a user's name -> _UserRow, "r" and a role's name -> its permissions. META "auth": whether it is enabled, and the
auth revision. All of it is held in memory too: it is read with every request.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from raftwerk.kv.auth_access import Access, access_of
from raftwerk.kv.auth_commands import (
    AuthChange,
    AuthCommand,
    AuthDisable,
    AuthEnable,
    Permission,
    PermissionType,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    TokenGrant,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRevokeRole,
)
from raftwerk.kv.auth_tokens import Tokens
from raftwerk.kv.commands import ALL_FROM_KEY
from raftwerk.kv.results import AuthResult, KvError
from raftwerk.kv.store import Store, Table

ROOT: Final = "root"
"""The user, and the role, that may do everything."""
FIRST_REVISION: Final = 1
EVERYTHING: Final = Permission(PermissionType.READWRITE, b"", ALL_FROM_KEY)

_META: Final = b"auth"
_META_ROW: Final = struct.Struct(">?Q")
_USER: Final = b"u"
_ROLE: Final = b"r"


class User(msgspec.Struct, frozen=True, array_like=True):
    """password_hash b"": none. roles: their names, sorted."""

    password_hash: bytes
    roles: tuple[str, ...] = ()


Role = tuple[Permission, ...]
"""Sorted by key."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_user: Final = msgspec.msgpack.Decoder(User).decode
_decode_role: Final = msgspec.msgpack.Decoder(Role).decode


class SignedTokens(Protocol):
    """Tokens that say by themselves whose they are."""

    def find(self, token: str) -> tuple[str, int] | None:
        """User and auth revision; None: it is invalid."""


class Auth:
    """The auth state of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tokens = Tokens()
        self.signed_tokens: SignedTokens | None = None
        """Set by the server, when tokens are signed instead of granted."""
        self.load()

    def load(self) -> None:
        """The store's rows were replaced, or are new."""
        row = self._store.get(Table.META, _META)
        self.is_enabled: bool
        self.revision: int
        self.is_enabled, self.revision = (
            _META_ROW.unpack(row) if row is not None else (False, FIRST_REVISION)
        )
        self.users: dict[str, User] = {}
        self.roles: dict[str, Role] = {}
        for key, data in self._store.scan(Table.AUTH, b"", None):
            name = key[1:].decode()
            if key.startswith(_USER):
                self.users[name] = _decode_user(data)
            else:
                self.roles[name] = _decode_role(data)
        self._access: dict[str, Access] = {}
        self.tokens.clear()  # of users who may be others now

    # Reading

    def access(self, user: str) -> Access | None:
        """What a user may do; None if there is no such user."""
        access = self._access.get(user)
        if access is None and user in self.users:
            roles = self.users[user].roles
            granted = (one for role in roles for one in self.roles.get(role, ()))
            access = self._access[user] = access_of(granted, is_admin=ROOT in roles)
        return access

    # Commands

    def execute(self, command: AuthCommand, revision: int) -> AuthResult | KvError:
        """revision: of the store. Who may do this was asked before."""
        error = (
            self._grant_token(command)
            if isinstance(command, TokenGrant)
            else _CHANGES[type(command)](self, command)
        )
        return error or AuthResult(revision)

    def _grant_token(self, command: TokenGrant) -> KvError | None:
        if not self.is_enabled:
            return KvError.AUTH_NOT_ENABLED
        if command.auth_revision != self.revision:
            return KvError.AUTH_OLD_REVISION
        self.tokens.grant(command.digest, command.user)
        return None

    def _enable(self, _: AuthEnable) -> KvError | None:
        if self.is_enabled:
            return None
        if ROOT not in self.users:
            return KvError.ROOT_USER_NOT_FOUND
        if ROOT not in self.users[ROOT].roles:
            return KvError.ROOT_ROLE_NOT_GRANTED
        self.is_enabled = True
        self._keep()
        return None

    def _disable(self, _: AuthDisable) -> KvError | None:
        if self.is_enabled:
            self.is_enabled = False
            self.tokens.clear()
            self._count()
        return None

    def _add_user(self, command: UserAdd) -> KvError | None:
        if not command.name:
            return KvError.USER_EMPTY
        if command.name in self.users:
            return KvError.USER_EXISTS
        self._set_user(command.name, User(command.password_hash))
        return None

    def _delete_user(self, command: UserDelete) -> KvError | None:
        if self.is_enabled and command.name == ROOT:
            return KvError.INVALID_AUTH_MANAGEMENT
        if command.name not in self.users:
            return KvError.USER_NOT_FOUND
        del self.users[command.name]
        self._store.delete(Table.AUTH, _USER + command.name.encode())
        self.tokens.end_user(command.name)
        self._count()
        return None

    def _change_password(self, command: UserChangePassword) -> KvError | None:
        user = self.users.get(command.name)
        if user is None:
            return KvError.USER_NOT_FOUND
        self.tokens.end_user(command.name)
        password_hash = command.password_hash if user.password_hash else b""
        self._set_user(command.name, User(password_hash, user.roles))
        return None

    def _grant_role(self, command: UserGrantRole) -> KvError | None:
        user = self.users.get(command.user)
        if user is None:
            return KvError.USER_NOT_FOUND
        if command.role != ROOT and command.role not in self.roles:
            return KvError.ROLE_NOT_FOUND
        if command.role in user.roles:
            return None
        roles = tuple(sorted((*user.roles, command.role), key=str.encode))
        self._set_user(command.user, User(user.password_hash, roles))
        return None

    def _revoke_role(self, command: UserRevokeRole) -> KvError | None:
        if self.is_enabled and command.user == ROOT and command.role == ROOT:
            return KvError.INVALID_AUTH_MANAGEMENT
        user = self.users.get(command.user)
        if user is None:
            return KvError.USER_NOT_FOUND
        if command.role not in user.roles:
            return KvError.ROLE_NOT_GRANTED
        self._set_user(command.user, _without(user, command.role))
        return None

    def _add_role(self, command: RoleAdd) -> KvError | None:
        if not command.name:
            return KvError.ROLE_EMPTY
        if command.name in self.roles:
            return KvError.ROLE_EXISTS
        self._set_role(command.name, ())
        return None

    def _delete_role(self, command: RoleDelete) -> KvError | None:
        if self.is_enabled and command.name == ROOT:
            return KvError.INVALID_AUTH_MANAGEMENT
        if command.name not in self.roles:
            return KvError.ROLE_NOT_FOUND
        del self.roles[command.name]
        self._store.delete(Table.AUTH, _ROLE + command.name.encode())
        for name, user in self.users.items():
            if command.name in user.roles:
                self._put_user(name, _without(user, command.name))
        self._count()
        return None

    def _grant_permission(self, command: RoleGrantPermission) -> KvError | None:
        role = self.roles.get(command.role)
        if role is None:
            return KvError.ROLE_NOT_FOUND
        granted = command.permission
        kept = [one for one in role if _range(one) != _range(granted)]
        self._set_role(command.role, tuple(sorted((*kept, granted), key=lambda one: one.key)))
        return None

    def _revoke_permission(self, command: RoleRevokePermission) -> KvError | None:
        role = self.roles.get(command.role)
        if role is None:
            return KvError.ROLE_NOT_FOUND
        kept = tuple(one for one in role if _range(one) != (command.key, command.range_end))
        if len(kept) == len(role):
            return KvError.PERMISSION_NOT_GRANTED
        self._set_role(command.role, kept)
        return None

    # Rows

    def _set_user(self, name: str, user: User) -> None:
        self._put_user(name, user)
        self._count()

    def _put_user(self, name: str, user: User) -> None:
        self.users[name] = user
        self._store.put(Table.AUTH, _USER + name.encode(), _encode(user))

    def _set_role(self, name: str, role: Role) -> None:
        self.roles[name] = role
        self._store.put(Table.AUTH, _ROLE + name.encode(), _encode(role))
        self._count()

    def _count(self) -> None:
        """Something has changed."""
        self.revision += 1
        self._access.clear()
        self._keep()

    def _keep(self) -> None:
        self._store.put(Table.META, _META, _META_ROW.pack(self.is_enabled, self.revision))


def _range(permission: Permission) -> tuple[bytes, bytes]:
    return permission.key, permission.range_end


def _without(user: User, role: str) -> User:
    return User(user.password_hash, tuple(one for one in user.roles if one != role))


_CHANGES: Final[dict[type[AuthChange], Callable[[Auth, Any], KvError | None]]] = {
    AuthEnable: Auth._enable,
    AuthDisable: Auth._disable,
    UserAdd: Auth._add_user,
    UserDelete: Auth._delete_user,
    UserChangePassword: Auth._change_password,
    UserGrantRole: Auth._grant_role,
    UserRevokeRole: Auth._revoke_role,
    RoleAdd: Auth._add_role,
    RoleDelete: Auth._delete_role,
    RoleGrantPermission: Auth._grant_permission,
    RoleRevokePermission: Auth._revoke_permission,
}
