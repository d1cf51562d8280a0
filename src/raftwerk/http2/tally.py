"""What was done with the calls of one method: the numbers behind grpc_server_*_total."""

from raftwerk.durations import Durations


class Tally(Durations):
    """Of all connections together. As a histogram: from a call's headers to the end of its answer."""

    __slots__ = ("failed", "received", "sent", "started")

    def __init__(self) -> None:
        super().__init__()
        self.started = 0
        self.failed: dict[int, int] = {}
        """Calls by the status they ended with, but OK."""
        self.received = 0
        """Messages of streams; a unary call has one each way."""
        self.sent = 0

    def end(self, status: int, duration_s: float) -> None:
        """A call is over. status: 0 is OK."""
        self.observe(duration_s)
        if status:
            self.failed[status] = self.failed.get(status, 0) + 1

    @property
    def succeeded(self) -> int:
        """Calls that ended with OK."""
        return self.count - sum(self.failed.values())
