"""etcdserverpb.KV on a node that is a fake."""

from raftwerk.api.rpc_pb2 import RangeRequest
from raftwerk.kv.commands import Put, encode
from raftwerk.kv.store import Store
from raftwerk.runtime.settings import Settings
from raftwerk.server.backlog import ANSWER_BYTES_MAX
from raftwerk.server.kv_service import KvService
from raftwerk.server.slices import Slices
from tests.server.fakes import FakeLoop, FakeNode, Rig

RANGE = "/etcdserverpb.KV/Range"
PUT = "/etcdserverpb.KV/Put"
DELETE = "/etcdserverpb.KV/DeleteRange"
TXN = "/etcdserverpb.KV/Txn"
COMPACT = "/etcdserverpb.KV/Compact"
EVERYTHING = RangeRequest(key=b"\0", range_end=b"\0")


class KvRig(Rig):
    """The service, its node and its quota."""

    def __init__(
        self,
        settings: Settings | None = None,
        store: Store | None = None,
        loop: FakeLoop | None = None,
        slices: type[Slices] = Slices,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        loop = loop or FakeLoop()
        self.node = FakeNode(loop, settings, store)
        self.is_over_quota = False
        service = KvService(
            self.node, loop, slices(loop), lambda: self.is_over_quota, answer_bytes_max
        )
        super().__init__(loop, service.methods())

    def fill(self, count: int) -> None:
        for number in range(count):
            self.node.apply(encode(Put(b"k%06d" % number, b"v")))
