"""CPU time of the HTTP/2 and gRPC layer, in microseconds a call, without sockets.

python -m benchmarks.micro_http2 [--message-bytes N]

Each line is the best of ROUNDS rounds. "outstanding": calls that travel together, in one write each way.
"""

import argparse
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from raftwerk.http2.client import Answer, ClientConnection
from raftwerk.http2.limits import Limits
from raftwerk.http2.server import Call, Method, ServerConnection, StreamMethod, UnaryMethod

ROUNDS = 7
CALLS = 10_000
"""Measured in one round."""
LARGE_BYTES = 8 * 1024 * 1024


class Echo:
    """Methods: /t.Echo/Echo answers with the message, /t.Echo/Watch with each of the messages."""

    def find(self, path: str) -> Method | str:
        if path == "/t.Echo/Echo":
            return UnaryMethod(Call.reply)
        return StreamMethod(lambda call: setattr(call, "on_message", call.send))


class Pair:
    """Both sides, and the time that each has spent."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.client = ClientConnection("127.0.0.1:2379", limits or Limits())
        self.server = ServerConnection(Echo(), limits or Limits())
        self.client_s = self.server_s = 0.0
        self.exchange()

    def exchange(self) -> None:
        """Carry bytes until both sides are silent."""
        while self.client.has_output or self.server.has_output:
            start = time.perf_counter()
            request = self.client.take_output()
            middle = time.perf_counter()
            if request:
                self.server.receive(request)
            answer = self.server.take_output()
            stop = time.perf_counter()
            if answer:
                self.client.receive(answer)
            self.client_s += middle - start + time.perf_counter() - stop
            self.server_s += stop - middle


def unary(outstanding: int, message: bytes, calls: int = CALLS) -> tuple[float, float, int]:
    pair = Pair()
    answers: list[Answer] = []
    for _ in range(calls // outstanding):
        start = time.perf_counter()
        for _ in range(outstanding):
            pair.client.call("/t.Echo/Echo", message, answers.append)
        pair.client_s += time.perf_counter() - start
        pair.exchange()
    assert all(answer.status == 0 for answer in answers)
    return pair.client_s, pair.server_s, len(answers)


def streaming(message: bytes) -> tuple[float, float, int]:
    pair = Pair()
    received: list[bytes] = []
    stream = pair.client.open("/t.Echo/Watch", lambda _: None, received.append)
    for _ in range(CALLS // 100):
        start = time.perf_counter()
        for _ in range(100):
            stream.send(message)
        pair.client_s += time.perf_counter() - start
        pair.exchange()
    return pair.client_s, pair.server_s, len(received)


def large() -> tuple[float, float, int]:
    """One message each way that takes many frames, per MiB."""
    pair = Pair(Limits(message_bytes_max=2 * LARGE_BYTES))
    answers: list[Answer] = []
    start = time.perf_counter()
    pair.client.call("/t.Echo/Echo", bytes(LARGE_BYTES), answers.append)
    pair.client_s += time.perf_counter() - start
    pair.exchange()
    assert len(answers[0].message) == LARGE_BYTES
    return pair.client_s, pair.server_s, LARGE_BYTES // 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--message-bytes", type=int, default=300)
    message = bytes(parser.parse_args().message_bytes)
    table = Table("load", "server us", "client us", title=f"{len(message)}-byte messages")
    loads: dict[str, Callable[[], tuple[float, float, int]]] = {
        "unary, 1 outstanding": lambda: unary(1, message),
        "unary, 100 outstanding": lambda: unary(100, message),
        "messages of one stream": lambda: streaming(message),
        f"{LARGE_BYTES // 1024**2} MiB both ways, per MiB": large,
    }
    for name, load in loads.items():
        rounds = [load() for _ in range(ROUNDS)]
        client, server = (min(one[i] / one[2] * 1e6 for one in rounds) for i in (0, 1))
        table.add_row(name, f"{server:,.1f}", f"{client:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
