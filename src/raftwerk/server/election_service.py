"""v3electionpb.Election: Campaign, Proclaim, Leader, Observe, Resign. The leader of NAME is first in that contest."""

from collections.abc import Callable
from functools import partial

from raftwerk.api import election_pb2, status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.kv.commands import CompareTarget, Put, Txn
from raftwerk.kv.results import RangeResult, TxnResult
from raftwerk.kv.rows import varint
from raftwerk.server import translate
from raftwerk.server.calls import fail, fail_with, parse, parse_streamed
from raftwerk.server.contest import NO_KEY, Contest, Contests, is_made_at, refuse, removal
from raftwerk.server.observer import Observer, leader_steps
from raftwerk.server.streams import take_one

NOT_LEADER = Status(status.UNKNOWN, "election: not leader")
NO_LEADER = Status(status.UNKNOWN, "election: no leader")
MISSING_LEADER = Status(status.UNKNOWN, '"leader" field must be provided')


class ElectionService:
    """The handlers, by name."""

    def __init__(self, contests: Contests) -> None:
        self._contests = contests
        self._node = contests.node
        self._header = translate.Headers(contests.node).field

    def methods(self) -> dict[str, Method]:
        return {
            "/v3electionpb.Election/Campaign": UnaryMethod(self.campaign),
            "/v3electionpb.Election/Proclaim": UnaryMethod(self.proclaim),
            "/v3electionpb.Election/Leader": UnaryMethod(self.leader),
            "/v3electionpb.Election/Observe": StreamMethod(self.observe),
            "/v3electionpb.Election/Resign": UnaryMethod(self.resign),
        }

    def campaign(self, call: Call, data: bytes) -> None:
        """Answer when elected."""
        request = parse(call, election_pb2.CampaignRequest, data)
        if request is None:
            return

        def on_first(contest: Contest) -> None:
            leader = election_pb2.LeaderKey(
                name=request.name,
                key=contest.key,
                rev=contest.create_revision,
                lease=contest.lease,
            )
            body = election_pb2.CampaignResponse(leader=leader)
            call.reply(self._header(contest.entered_revision) + body.SerializeToString())

        contest = Contest(self._contests, call, request.name, request.value, NOT_LEADER, on_first)
        contest.begin(request.lease)

    def proclaim(self, call: Call, data: bytes) -> None:
        """Set the leader's value, if it still leads."""
        request = parse(call, election_pb2.ProclaimRequest, data)
        if request is None or not self._has_leader_key(call, request):
            return
        leader = request.leader

        def write(lease: int) -> None:
            put = Put(leader.key, request.value, lease)
            command = Txn((is_made_at(leader.key, leader.rev),), (put,))
            self._contests.write(call, command, self._done(call, NOT_LEADER))

        self._contests.with_lease(call, leader.lease, write, lambda result: refuse(call, result))

    def resign(self, call: Call, data: bytes) -> None:
        """Delete the leader's key, if it still leads; if not, that is no error."""
        request = parse(call, election_pb2.ResignRequest, data)
        if request is None or not self._has_leader_key(call, request):
            return
        command = removal(CompareTarget.CREATE, request.leader.key, request.leader.rev)
        self._contests.propose(call, command, self._done(call, None))

    @staticmethod
    def _has_leader_key(
        call: Call, request: election_pb2.ProclaimRequest | election_pb2.ResignRequest
    ) -> bool:
        if not request.HasField("leader"):
            fail(call, MISSING_LEADER)
        elif not request.leader.key:
            fail(call, NO_KEY)
        else:
            return True
        return False

    def _done(self, call: Call, refusal: Status | None) -> Callable[[object], None]:
        """refusal: of a transaction whose comparison did not hold."""

        def done(result: object) -> None:
            if not isinstance(result, TxnResult):
                refuse(call, result)
            elif not result.succeeded and refusal is not None:
                fail(call, refusal)
            else:
                call.reply(self._header(result.revision))

        return done

    def leader(self, call: Call, data: bytes) -> None:
        """Who leads now."""
        request = parse(call, election_pb2.LeaderRequest, data)
        if request is None:
            return

        def found(result: RangeResult) -> None:
            if result.kvs:
                call.reply(self.response(result.kvs[0], result.revision))
            else:
                fail(call, NO_LEADER)

        contests = self._contests
        steps = leader_steps(contests, call, request.name, found, partial(fail_with, call))
        contests.read(call, lambda: contests.slices.answer(call, steps))

    def observe(self, call: Call) -> None:
        """Tell who leads, with each value, and then each change."""

        def on_request(data: bytes) -> None:
            request = parse_streamed(call, election_pb2.LeaderRequest, data)
            if request is not None:
                Observer(self._contests, call, request.name, self.response).look()

        take_one(call, on_request)

    def response(self, kv: bytes, revision: int) -> bytes:
        """A serialized LeaderResponse."""
        return self._header(revision) + b"\x12" + varint(len(kv)) + kv
