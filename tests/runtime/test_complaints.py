"""What strangers cause is told once in a while."""

from structlog.testing import capture_logs

from raftwerk.runtime.complaints import INTERVAL_S, Complaints


def test_each_is_told_once_in_a_while_with_the_number_left_out() -> None:
    now = 5.0
    complaints = Complaints(lambda: now)
    with capture_logs() as logs:
        for number in range(4):
            complaints.warn("noise", peer=f"10.0.0.{number}")
        complaints.warn("another")
        now += INTERVAL_S
        complaints.warn("noise", peer="10.0.0.9")
        now += INTERVAL_S
        complaints.warn("noise", peer="10.0.0.9")
    told = [
        {name: log[name] for name in ("event", "peer", "left_out") if name in log} for log in logs
    ]
    assert told == [
        {"event": "noise", "peer": "10.0.0.0"},
        {"event": "another"},
        {"event": "noise", "peer": "10.0.0.9", "left_out": 3},
        {"event": "noise", "peer": "10.0.0.9"},
    ]
