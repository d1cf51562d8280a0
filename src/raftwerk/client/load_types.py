"""What a load is, how several processes share it, and what came of it.

They hand it to each other, so none of it is compiled.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from raftwerk.client.load_requests import Operation
from raftwerk.errors import UsageError

ANSWER_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to do, until `requests` were made or `seconds` are over. rate: requests a second in all; 0: as fast as it goes.

    answer_timeout_s: it fails when none of the answers, or of the events of a watch, came for so long.
    """

    operation: Operation
    connections: int = 1
    clients: int = 1
    requests: int = 0
    seconds: float = 0.0
    value_bytes: int = 256
    keys: int = 100_000
    rate: float = 0.0
    metadata: bytes = b""
    """Further headers, encoded."""
    answer_timeout_s: float = ANSWER_TIMEOUT_S


@dataclass(slots=True)
class Outcome:
    """What came of it, in one process. Latencies of answers with status 0, in seconds; errors: how many, by status.

    error_texts: what a server said last with a status.
    """

    latencies_s: "array[float]"
    errors: dict[int, int]
    seconds: float
    cpu_s: float
    error_texts: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. client_cpu_us: of the load generator, a request."""

    requests: int
    errors: dict[int, int]
    error_texts: dict[int, str]
    seconds: float
    per_second: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    client_cpu_us: float


def summary(outcomes: Sequence[Outcome]) -> Result:
    """Of all processes together."""
    latencies = sorted(seconds for outcome in outcomes for seconds in outcome.latencies_s)
    errors: dict[int, int] = {}
    texts: dict[int, str] = {}
    for outcome in outcomes:
        texts.update(outcome.error_texts)
        for status, count in outcome.errors.items():
            errors[status] = errors.get(status, 0) + count
    count = len(latencies)
    seconds = max(outcome.seconds for outcome in outcomes)
    cpu_s = sum(outcome.cpu_s for outcome in outcomes)

    def at(part: float) -> float:
        return round(1e3 * latencies[min(count - 1, int(count * part))], 3) if count else 0.0

    return Result(
        requests=count,
        errors=errors,
        error_texts=texts,
        seconds=round(seconds, 4),
        per_second=round(count / seconds, 1),
        mean_ms=round(1e3 * sum(latencies) / max(1, count), 3),
        p50_ms=at(0.5),
        p90_ms=at(0.9),
        p99_ms=at(0.99),
        p999_ms=at(0.999),
        max_ms=at(1.0),
        client_cpu_us=round(1e6 * cpu_s / max(1, count), 1),
    )


def shares(load: Load, processes: int) -> list[Load]:
    """What each process does. Raises UsageError if there is less than one connection for each."""
    if not 0 < processes <= load.connections <= load.clients:
        raise UsageError(
            "a load takes at least one connection a process, and one client for each: "
            f"not --processes {processes}, --connections {load.connections}, --clients {load.clients}"
        )
    if not (load.requests or load.seconds):
        raise UsageError("a load ends after so many requests, or seconds: tell one of them")

    def share(whole: int, place: int) -> int:
        return whole // processes + (place < whole % processes)

    return [
        replace(
            load,
            connections=share(load.connections, place),
            clients=share(load.clients, place),
            requests=share(load.requests, place),
            rate=load.rate / processes,
        )
        for place in range(processes)
    ]
