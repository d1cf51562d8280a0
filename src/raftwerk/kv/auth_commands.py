"""What changes users, roles and permissions, as it stands in the log. Passwords come hashed, tokens as digests.

As with all commands: tags and field orders are on disk and on the wire for ever.
"""

from enum import IntEnum
from typing import TypeAlias

import msgspec


class PermissionType(IntEnum):
    READ = 0
    WRITE = 1
    READWRITE = 2


class Permission(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On one key, or from it up to range_end (commands.ALL_FROM_KEY: every key >= key)."""

    type: PermissionType
    key: bytes
    range_end: bytes = b""


class _AuthCommand(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base: as of all commands."""


class AuthEnable(_AuthCommand, frozen=True, tag=21):
    pass


class AuthDisable(_AuthCommand, frozen=True, tag=22):
    pass


class UserAdd(_AuthCommand, frozen=True, tag=23):
    """password_hash b"": this user has no password, and proves who it is in another way."""

    name: str
    password_hash: bytes = b""


class UserDelete(_AuthCommand, frozen=True, tag=24):
    name: str


class UserChangePassword(_AuthCommand, frozen=True, tag=25):
    name: str
    password_hash: bytes


class UserGrantRole(_AuthCommand, frozen=True, tag=26):
    user: str
    role: str


class UserRevokeRole(_AuthCommand, frozen=True, tag=27):
    user: str
    role: str


class RoleAdd(_AuthCommand, frozen=True, tag=28):
    name: str


class RoleDelete(_AuthCommand, frozen=True, tag=29):
    name: str


class RoleGrantPermission(_AuthCommand, frozen=True, tag=30):
    role: str
    permission: Permission


class RoleRevokePermission(_AuthCommand, frozen=True, tag=31):
    role: str
    key: bytes
    range_end: bytes = b""


class TokenGrant(_AuthCommand, frozen=True, tag=32):
    """A member has checked the user's password against the state at auth_revision."""

    user: str
    digest: bytes
    auth_revision: int


AuthChange: TypeAlias = (
    AuthEnable
    | AuthDisable
    | UserAdd
    | UserDelete
    | UserChangePassword
    | UserGrantRole
    | UserRevokeRole
    | RoleAdd
    | RoleDelete
    | RoleGrantPermission
    | RoleRevokePermission
)
AuthCommand: TypeAlias = AuthChange | TokenGrant
