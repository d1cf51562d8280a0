"""etcdserverpb.Watch with tokens that a member does not know yet."""

from raftwerk.api import status
from raftwerk.kv import auth_commands as auth
from raftwerk.kv.auth_rules import MEMBER
from raftwerk.kv.commands import authorized, encode
from raftwerk.replica.failure import Failure
from raftwerk.server.auth_guard import reason
from tests.server.watch_rig import WatchRig


def signed_in() -> WatchRig:
    """Auth is enabled, and the next barrier waits for `release`."""
    rig = WatchRig()
    for command in (
        auth.UserAdd("root", b"h"),
        auth.UserGrantRole("root", "root"),
        auth.AuthEnable(),
    ):
        rig.node.apply(authorized(*MEMBER, encode(command)))
    rig.node.is_stuck = True
    return rig


def test_client_that_leaves_while_its_token_is_looked_up_leaves_no_stream() -> None:
    rig = signed_in()
    stream = rig.stream(token="x", hasleader="true")
    stream.call.cancel()
    rig.pump()
    rig.node.release()
    assert (rig.service.stream_count, rig.loop.timers) == (0, 0)


def test_invalid_token_is_told_to_the_watcher() -> None:
    rig = signed_in()
    stream = rig.stream(token="x")
    stream.create(b"a")
    rig.node.release()
    rig.settle()
    (answer,) = stream.take()
    assert answer.canceled
    assert answer.cancel_reason == reason(status.INVALID_TOKEN)


def test_unknown_token_is_not_called_invalid_without_a_quorum() -> None:
    rig = signed_in()
    rig.node.failure = Failure.TIMED_OUT
    stream = rig.stream(token="x")
    stream.create(b"a")
    rig.node.release()
    rig.settle()
    assert stream.take() == []
    assert stream.outcome is not None
    assert stream.outcome[:2] == status.TIMED_OUT


def test_stream_whose_token_is_looked_up_when_the_server_stops_is_answered() -> None:
    rig = signed_in()
    stream = rig.stream(token="x")
    rig.service.stop()
    rig.node.release()
    rig.settle()
    assert stream.outcome is not None
    assert stream.outcome[:2] == status.STOPPED
