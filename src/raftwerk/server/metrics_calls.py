"""grpc_server_*: the calls of every method, under the names and labels of gRPC's usual Prometheus interceptors."""

from collections.abc import Iterator, Mapping
from typing import Final

from google.protobuf import descriptor_pool
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from raftwerk.durations import cumulative
from raftwerk.http2.call import Method, UnaryMethod
from raftwerk.http2.tally import Tally

_CODES: Final = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound"),
    *("AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted"),
    *("OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)
"""By number, as Go spells them."""
_KINDS: Final = {"raftwerk.Sessions.Put": "server_stream"}
"""Of our own streaming methods, which no descriptor knows."""
_LABELS: Final = ("grpc_method", "grpc_service", "grpc_type")


class CallCollector(Collector):
    """Reads the tallies when a scraper asks. Every method is there from the beginning, so that a rate has where to start; only
    the histograms, which are long, are of those that were called.
    """

    def __init__(self, methods: Mapping[str, Method]) -> None:
        """methods: by path."""
        self._methods = [
            (_labels(path, method), method.tally, isinstance(method, UnaryMethod))
            for path, method in sorted(methods.items())
        ]

    def collect(self) -> Iterator[Metric]:
        """One metric after the other: whoever asks may do other things between them."""
        started = _counter("started", "Calls that have begun")
        for labels, tally, _ in self._methods:
            started.add_metric(labels, tally.started)
        yield started
        handled = _counter("handled", "Calls that have ended, by their status", "grpc_code")
        for labels, tally, _ in self._methods:
            for status, count in _by_status(tally):
                handled.add_metric((_CODES[status], *labels), count)
        yield handled
        received = _counter("msg_received", "Messages from clients")
        for labels, tally, is_unary in self._methods:
            received.add_metric(labels, tally.started if is_unary else tally.received)
        yield received
        sent = _counter("msg_sent", "Messages to clients")
        for labels, tally, is_unary in self._methods:
            sent.add_metric(labels, tally.succeeded if is_unary else tally.sent)
        yield sent
        name = "grpc_server_handling_seconds"
        seconds = HistogramMetricFamily(name, "From a call's headers to its end", labels=_LABELS)
        for labels, tally, _ in self._methods:
            if tally.count:
                seconds.add_metric(labels, buckets=cumulative(tally), sum_value=tally.sum_s)
        yield seconds


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"grpc_server_{name}", text, labels=(*labels, *_LABELS))


def _by_status(tally: Tally) -> Iterator[tuple[int, int]]:
    yield 0, tally.succeeded
    yield from sorted(tally.failed.items())


def _labels(path: str, method: Method) -> tuple[str, str, str]:
    service, _, name = path.removeprefix("/").rpartition("/")
    return name, service, _kind(f"{service}.{name}", method)


def _kind(full_name: str, method: Method) -> str:
    if isinstance(method, UnaryMethod):
        return "unary"
    if full_name in _KINDS:
        return _KINDS[full_name]
    described = descriptor_pool.Default().FindMethodByName(full_name)
    return "bidi_stream" if described.client_streaming else "server_stream"
