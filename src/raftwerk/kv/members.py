"""What the members made known of themselves: a table of the store, written by commands of their own."""

import msgspec

from raftwerk.kv import commands
from raftwerk.kv.commands import PublishMember
from raftwerk.kv.results import PublishResult
from raftwerk.kv.store import Store, Table


class Members:
    """By node id."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[PublishMember]:
        return [
            msgspec.msgpack.decode(data, type=PublishMember)
            for _, data in self._store.scan(Table.MEMBERS, b"", None)
        ]

    def execute(self, command: PublishMember, revision: int) -> PublishResult:
        """The newest is known, alone."""
        self._store.put(Table.MEMBERS, _key(command.node_id), commands.encode(command))
        return PublishResult(revision)

    def forget(self) -> None:
        """Those of a cluster that is no more."""
        for member in self.all():
            self._store.delete(Table.MEMBERS, _key(member.node_id))


def _key(node_id: int) -> bytes:
    return node_id.to_bytes(8, "big")
