"""A client that changes users, roles and permissions: state that all members must have alike."""

from raftwerk.kv.auth_commands import (
    AuthChange,
    Permission,
    PermissionType,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRevokeRole,
)
from raftwerk.kv.commands import encode
from raftwerk.sim.clients.caller import Caller
from raftwerk.sim.cluster import Cluster


class AdminClient(Caller):
    """Each command is told apart by a name or a key of its own."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, f"admin {number}")
        self._number = number
        self._count = 0

    def next(self) -> None:
        self._count += 1
        self.send(encode(self._change()), lambda _: self.start())

    def _change(self) -> AuthChange:
        """The count goes round the commands, and every name is used by some that follow."""
        kind, turn = self._count % 10, self._count // 10
        mine = f"{self._number}-{turn}"
        before = f"{self._number}-{turn - 1}"
        key = b"g%d/" % turn
        changes: tuple[AuthChange, ...] = (
            RoleAdd(mine),
            UserAdd(mine, b"hash"),
            UserGrantRole(mine, mine),
            RoleGrantPermission(mine, Permission(PermissionType.READWRITE, key, b"h")),
            UserGrantRole(mine, before),
            UserChangePassword(mine, b"other"),
            RoleRevokePermission(before, b"g%d/" % (turn - 1), b"h"),
            UserRevokeRole(mine, before),
            RoleDelete(before),
            UserDelete(before),
        )
        return changes[kind]
