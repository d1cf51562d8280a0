"""v3lockpb.Lock: Lock and Unlock. The lock NAME is held by whoever is first in the contest for that name."""

from raftwerk.api import lock_pb2, status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call, Method, UnaryMethod
from raftwerk.kv.commands import DeleteRange
from raftwerk.kv.results import DeleteRangeResult
from raftwerk.server import translate
from raftwerk.server.calls import fail, parse
from raftwerk.server.contest import NO_KEY, Contest, Contests, refuse

SESSION_EXPIRED = Status(status.UNKNOWN, "mutex: session is expired")


class LockService:
    """The handlers, by name."""

    def __init__(self, contests: Contests) -> None:
        self._contests = contests
        self._node = contests.node
        self._header = translate.Headers(contests.node).field

    def methods(self) -> dict[str, Method]:
        return {
            "/v3lockpb.Lock/Lock": UnaryMethod(self.lock),
            "/v3lockpb.Lock/Unlock": UnaryMethod(self.unlock),
        }

    def lock(self, call: Call, data: bytes) -> None:
        """Answer when the lock is held. The key of the answer is there as long as it is."""
        request = parse(call, lock_pb2.LockRequest, data)
        if request is None:
            return

        def on_first(contest: Contest) -> None:
            body = lock_pb2.LockResponse(key=contest.key)
            call.reply(self._header(contest.revision) + body.SerializeToString())

        contest = Contest(self._contests, call, request.name, None, SESSION_EXPIRED, on_first)
        contest.begin(request.lease)

    def unlock(self, call: Call, data: bytes) -> None:
        """Delete a key that `lock` answered with."""
        request = parse(call, lock_pb2.UnlockRequest, data)
        if request is None:
            return
        if not request.key:
            fail(call, NO_KEY)
            return

        def done(result: object) -> None:
            if isinstance(result, DeleteRangeResult):
                call.reply(self._header(result.revision))
            else:
                refuse(call, result)

        self._contests.propose(call, DeleteRange(request.key), done)
