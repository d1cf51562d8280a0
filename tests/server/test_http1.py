"""The pages of the HTTP/1.1 side, as an ASGI application."""

import asyncio
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from starlette.responses import PlainTextResponse

from raftwerk.errors import CorruptData
from raftwerk.kv.commands import RangeQuery
from raftwerk.replica.failure import Failure
from raftwerk.runtime.metrics import Metrics
from raftwerk.server.cluster_services import ETCD_VERSION
from raftwerk.server.http1 import Pages
from raftwerk.server.metrics import MetricsPage, Traffic
from tests.server.fakes import FakeLoop, FakeNode


class Page(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class PromptNode(FakeNode):
    """Settles a read at once: there is a real loop here."""

    def read(self, done: Callable[[Failure | None], None]) -> None:
        done(self.failure)


@pytest.fixture
def node() -> FakeNode:
    return PromptNode(FakeLoop())


def ask(
    node: FakeNode,
    path: str,
    method: str = "GET",
    *,
    alarms: Sequence[str] = (),
    has_gateway: bool = True,
) -> Page:
    """One request to the application."""
    pages = Pages(node, MetricsPage(node, Traffic(), {}), lambda: list(alarms))
    application = pages.application(PlainTextResponse("the gateway") if has_gateway else None)
    sent: list[dict[str, Any]] = []
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost")],
        "scheme": "http",
        "server": ("localhost", 2379),
        "client": ("localhost", 1),
        "root_path": "",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    start, *bodies = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Page(start["status"], headers, b"".join(one["body"] for one in bodies).decode())


@pytest.mark.parametrize(
    ("has_leader", "failure", "path", "status", "reason"),
    [
        (True, None, "/health", 200, ""),
        (True, None, "/health?serializable=true", 200, ""),
        (False, None, "/health", 503, "RAFT NO LEADER"),
        (False, None, "/health?serializable=false", 503, "RAFT NO LEADER"),
        (False, None, "/health?serializable=true", 200, ""),
        (True, Failure.TIMED_OUT, "/health", 503, "RANGE ERROR:etcdserver: request timed out"),
        (True, Failure.TIMED_OUT, "/health?serializable=true", 200, ""),
    ],
)
def test_health_has_etcds_answers(
    node: FakeNode, has_leader: bool, failure: Failure | None, path: str, status: int, reason: str
) -> None:
    node.has_leader = has_leader
    node.failure = failure
    page = ask(node, path)
    assert page.status == status
    assert json.loads(page.body) == {"health": str(not reason).lower(), "reason": reason}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/health", "ALARM NOSPACE"),
        ("/health?serializable=true", "ALARM NOSPACE"),
        ("/health?exclude=CORRUPT", "ALARM NOSPACE"),
        ("/health?exclude=NOSPACE", ""),
        ("/health?exclude=CORRUPT&exclude=NOSPACE", ""),
    ],
)
def test_store_over_its_quota_is_not_healthy(node: FakeNode, path: str, reason: str) -> None:
    page = ask(node, path, alarms=["NOSPACE"])
    assert page.status == (503 if reason else 200)
    assert json.loads(page.body)["reason"] == reason


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/livez", 200, "ok\n"),
        ("/livez?verbose", 200, "[+]serializable_read ok\nok\n"),
        (
            "/readyz",
            503,
            (
                "[+]data_corruption ok\n[+]serializable_read ok\n[-]linearizable_read failed: RAFT NO LEADER\n"
                "[+]non_learner ok\n"
            ),
        ),
        ("/readyz/linearizable_read", 503, "[-]linearizable_read failed: RAFT NO LEADER\n"),
        ("/readyz/serializable_read", 200, "ok\n"),
        ("/livez/linearizable_read", 404, "404 page not found\n"),
        ("/readyz?exclude=linearizable_read", 200, "ok\n"),
    ],
)
def test_member_without_leader_lives_and_is_not_ready(
    node: FakeNode, path: str, status: int, body: str
) -> None:
    node.has_leader = False
    page = ask(node, path)
    assert (page.status, page.body) == (status, body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/livez", "ok\n"),
        ("/readyz", "ok\n"),
        (
            "/readyz?verbose",
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
        ),
        ("/readyz/non_learner?verbose", "[+]non_learner ok\nok\n"),
    ],
)
def test_member_with_leader_lives_and_is_ready(node: FakeNode, path: str, body: str) -> None:
    page = ask(node, path)
    assert (page.status, page.body) == (200, body)


def test_version_names_what_the_api_is_compatible_with(node: FakeNode) -> None:
    page = ask(node, "/version")
    assert json.loads(page.body) == {"etcdserver": ETCD_VERSION, "etcdcluster": "3.5.0"}


def test_metrics_are_those_of_the_node(node: FakeNode) -> None:
    node.metrics = Metrics()
    node.metrics.on_notice("following")
    page = ask(node, "/metrics")
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\netcd_server_leader_changes_seen_total 1.0\n" in page.body


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/version", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_wrong_method_is_not_allowed(node: FakeNode, path: str, method: str) -> None:
    page = ask(node, path, method)
    assert (page.status, page.body) == (405, "Method Not Allowed\n")
    assert page.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/version", "/metrics"])
def test_head_is_served(node: FakeNode, path: str) -> None:
    assert ask(node, path, "HEAD").status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/", "/nonsense", "/health/", "/v2/keys"])
def test_unknown_page_is_not_found(node: FakeNode, path: str, method: str) -> None:
    """And what is there is named."""
    page = ask(node, path, method)
    assert page.status == 404
    assert page.body.startswith(f"{method} {path}: there is no such page here.")


@pytest.mark.parametrize("path", ["/v3/kv/range", "/v3/nonsense", "/v3beta/kv/range"])
def test_gateway_has_what_is_below_v3(node: FakeNode, path: str) -> None:
    assert ask(node, path, "POST").body == "the gateway"


def test_pages_may_be_there_without_the_gateway(node: FakeNode) -> None:
    assert ask(node, "/v3/kv/range", "POST", has_gateway=False).status == 404
    assert ask(node, "/health", has_gateway=False).status == 200


def test_corrupt_data_are_not_ready(node: FakeNode) -> None:
    page = ask(node, "/readyz/data_corruption", alarms=["CORRUPT"])
    assert page.body == "[-]data_corruption failed: alarm activated: CORRUPT\n"
    assert page.status == 503
    assert ask(node, "/livez", alarms=["CORRUPT"]).status == 200


def test_damaged_row_is_an_answer_without_data(node: FakeNode) -> None:
    def meet(_: RangeQuery) -> None:
        raise CorruptData("data.mdb", None, "a wrong checksum")

    node.machine = SimpleNamespace(range=meet)  # type: ignore[assignment]
    page = ask(node, "/livez")
    assert page.status == 500
    assert page.body.startswith("data.mdb: damaged: a wrong checksum. ")
