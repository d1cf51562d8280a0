"""`raftwerk serve` as a process: ready, stopped, refused; and nothing left behind."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from raftwerk.api.rpc_pb2 import PutRequest
from raftwerk.cli.cluster import free_ports
from raftwerk.client.errors import CallError
from raftwerk.sync import Client
from raftwerk.wal.identity import Identity, claim
from tests.cli.commands import (
    children_of,
    run,
    started,
    taken_port,
)


def ports() -> tuple[int, int]:
    (pair,) = free_ports(1)
    return pair


def urls_of(client: int, peer: int) -> list[str]:
    return [
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
    ]


READY = "ready to serve client requests"
REQUEST = PutRequest(key=b"key", value=b"value").SerializeToString()


def test_connections_may_take_as_many_descriptors_as_the_system_allows(tmp_path: Path) -> None:
    """A shell gives each process a thousand or so, and lets it ask for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 500), hard))
    try:
        with started("serve", *urls_of(*ports()), folder=tmp_path) as member:
            member.wait_for(READY)
            limits = resource.prlimit(member.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert limits == (hard, hard)


FREED = """
import resource
from raftwerk.cli import serve

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def freed_bytes(size, above):
    block = bytearray(b"x") * size
    held = [bytes(1000) for _ in range(above)]
    before = resident_bytes()
    del block
    return before - resident_bytes()

serve._give_back_large_blocks()
bytearray(24 << 20)
print(freed_bytes(8 << 20, above=100), freed_bytes(2 << 20, above=0))
"""


@pytest.mark.parametrize("given", [{}, {"MALLOC_TRIM_THRESHOLD_": str(64 << 20)}])
def test_large_block_is_given_back_and_what_batches_take_is_kept(given: dict[str, str]) -> None:
    """Though a larger one was freed before. What the environment says of it goes before."""
    done = subprocess.run(
        [sys.executable, "-c", FREED], env={**os.environ, **given}, capture_output=True, check=True
    )
    large, small = map(int, done.stdout.split())
    assert large > 7 << 20
    assert (small < 1 << 20) is not bool(given)


def test_ready_line_means_that_requests_are_answered(tmp_path: Path) -> None:
    """The data folder is named after the member; no children, no warning."""
    client, peer = ports()
    with started("serve", *urls_of(client, peer), folder=tmp_path) as member:
        line = member.wait_for(READY)
        assert f"client_urls=http://127.0.0.1:{client}" in line
        with urllib.request.urlopen(f"http://127.0.0.1:{client}/health") as answer:
            assert json.load(answer)["health"] == "true"
        assert children_of(member.process.pid) == []
        assert (tmp_path / "default.raftwerk" / "identity.json").exists()
        assert "level=warn" not in member.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signal_stops_it_cleanly_and_the_next_start_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    pair = ports()
    for _ in range(2):
        with started("serve", *urls_of(*pair), folder=tmp_path) as member:
            member.wait_for(READY)
            assert member.stop(number) == 0
            assert f"signal={number.name}" in member.output
            assert member.lines[-1].endswith('msg="node stopped" name=default')
            assert "Traceback" not in member.output


def without_a_majority() -> tuple[int, list[str]]:
    """(client port, flags) of a member whose peer never comes."""
    (client, peer), (_, other) = free_ports(2)
    cluster = f"a=http://127.0.0.1:{peer},b=http://127.0.0.1:{other}"
    flags = ["--name=a", f"--initial-cluster={cluster}", *urls_of(client, peer)]
    return client, flags


def test_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """The first waits for an open request: a write without a majority."""
    client, flags = without_a_majority()
    with started("serve", *flags, folder=tmp_path) as member:
        member.wait_for("asking for pre-votes")
        with started("put", "key", "value", f"--endpoints=127.0.0.1:{client}", folder=tmp_path):
            wait_for_connection(client)
            member.send(signal.SIGTERM)
            member.wait_for("a second signal ends the process at once")
            assert member.stop(signal.SIGTERM) == -signal.SIGTERM
    with started("serve", *flags, folder=tmp_path) as member:
        member.wait_for("node started")


def test_client_at_the_port_for_peers_is_told_so_at_once(tmp_path: Path) -> None:
    client, peer = ports()
    with started("serve", *urls_of(client, peer), folder=tmp_path) as member:
        member.wait_for(READY)
        ask = ("put", "key", "value", f"--endpoints=127.0.0.1:{peer}", "--command-timeout=1h")
        answer = run(*ask, folder=tmp_path)
        assert answer.returncode != 0
        assert "this is the port for peers; name the one for clients" in answer.stderr
        assert "This is the peer port; clients use the client port" in member.wait_for("peer port")


def test_who_waits_is_told_that_it_stops(tmp_path: Path) -> None:
    """A write without a majority: its client need not find out by itself."""
    client, flags = without_a_majority()
    with started("serve", *flags, folder=tmp_path) as member:
        member.wait_for("asking for pre-votes")
        with grpc.insecure_channel(f"127.0.0.1:{client}") as channel:
            call = channel.unary_unary("/etcdserverpb.KV/Put").future(REQUEST)
            wait_for_connection(client)
            assert member.stop() == 0
            assert (call.code(), call.details()) == (
                grpc.StatusCode.UNAVAILABLE,
                "etcdserver: server stopped",
            )


def wait_for_connection(port: int) -> None:
    """Until a client of it has sent something and waits."""
    metric = "etcd_server_proposals_pending"
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        if any(line.startswith(metric) and float(line.split()[1]) >= 1 for line in lines):
            return


@pytest.mark.parametrize("which", ["client", "peer"])
def test_taken_port_is_refused_and_nothing_is_left(tmp_path: Path, which: str) -> None:
    """Neither a process nor a folder, nor a word of an election: with another port it starts."""
    client, peer = ports()
    with taken_port() as taken:
        pair = (taken, peer) if which == "client" else (client, taken)
        answer = run("serve", *urls_of(*pair), folder=tmp_path)
    assert answer.returncode == 1
    (error,) = answer.stderr.splitlines()
    assert error.startswith(f"raftwerk serve: cannot listen for {which}s on 127.0.0.1:{taken}: ")
    assert f"choose another one with --listen-{which}-urls" in error
    assert list(tmp_path.iterdir()) == []
    with started("serve", *urls_of(client, peer), folder=tmp_path) as member:
        member.wait_for(READY)


@pytest.mark.parametrize("has_other_ports", [True, False], ids=["other ports", "the same"])
def test_folder_in_use_is_refused_with_the_pid_of_its_user(
    tmp_path: Path, has_other_ports: bool
) -> None:
    pair = ports()
    with started("serve", *urls_of(*pair), folder=tmp_path) as member:
        member.wait_for(READY)
        others = ports() if has_other_ports else pair
        answer = run("serve", *urls_of(*others), folder=tmp_path)
        assert member.stop() == 0, "it was not disturbed"
    assert answer.returncode == 1
    assert f"in use by another process (pid {member.process.pid})" in answer.stderr


@pytest.mark.parametrize("is_taken", [False, True], ids=["free port", "taken port"])
@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--initial-cluster-token=other"], "default.raftwerk is the data folder of another clus"),
        (["--data-dir=file/data"], "file/data cannot be used as data folder: Not a directory"),
        (["--data-dir=."], ". is not empty (default.raftwerk, file), and not a data folder of"),
        (["--name=n", "--initial-cluster-state=existing"], "n.raftwerk is not there, or empty,"),
    ],
    ids=["another cluster's", "a file", "of something else", "not there"],
)
def test_folder_that_cannot_be_used_is_told_before_a_taken_port_and_stays_as_it_is(
    tmp_path: Path, flags: list[str], text: str, is_taken: bool
) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "default.raftwerk").mkdir()
    claim(tmp_path / "default.raftwerk", Identity(1, 1, "default"))
    before = sorted(tmp_path.rglob("*"))
    with taken_port() as taken:
        pair = (taken, ports()[1]) if is_taken else ports()
        answer = run("serve", *urls_of(*pair), *flags, folder=tmp_path)
    assert (answer.returncode, answer.stderr.startswith(f"raftwerk serve: {text}")) == (1, True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["closed", "closed/new"])
def test_folder_that_may_not_be_written_is_told_before_a_taken_port(
    tmp_path: Path, name: str
) -> None:
    """As a user who may not: root without the two capabilities that let it, or anybody in a closed folder."""
    closed = tmp_path / "closed"
    closed.mkdir()
    prefix: list[str] = []
    if os.getuid() == 0:
        os.chown(closed, 65534, 65534)
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    closed.chmod(0o755 if prefix else 0o555)
    with taken_port() as taken:
        flags = [f"--data-dir={name}", *urls_of(taken, ports()[1])]
        command = [*prefix, sys.executable, "-m", "raftwerk", "serve", *flags]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    closed.chmod(0o700)
    assert answer.returncode == 1
    told = f"raftwerk serve: {name} cannot be used as data folder: "
    assert (answer.stderr.startswith(told), "Permission denied" in answer.stderr) == (True, True)


def test_damaged_folder_is_refused_with_file_and_reason(tmp_path: Path) -> None:
    (tmp_path / "default.raftwerk").mkdir()
    (tmp_path / "default.raftwerk" / "identity.json").write_text("{")
    answer = run("serve", *urls_of(*ports()), folder=tmp_path)
    assert answer.returncode == 1
    assert "identity.json: damaged at byte 0" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--nmae=x", "raftwerk serve: unknown flag --nmae; did you mean --name?"),
        ("--discovery=a", "raftwerk serve: --discovery: "),
        ("--heartbeat-interval=x", "raftwerk serve: --heartbeat-interval: 'x' is not a whole"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_made(tmp_path: Path, argument: str, text: str) -> None:
    answer = run("serve", argument, folder=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.startswith(text)
    assert list(tmp_path.iterdir()) == []


CERTIFICATES = [
    "--listen-client-urls=https://127.0.0.1:1",
    "--cert-file=no.crt",
    "--key-file=no.key",
]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (CERTIFICATES, "raftwerk serve: the TLS files no.crt, no.key cannot be used: "),
        (["--auth-token=jwt,sign-method=RS256,priv-key=no.pem"], "raftwerk serve: --auth-token: "),
        (["--initial-cluster-state=existing"], "raftwerk serve: default.raftwerk is not there"),
    ],
    ids=["certificates", "auth-token", "existing"],
)
def test_what_is_found_out_later_leaves_nothing_either(
    tmp_path: Path, arguments: list[str], text: str
) -> None:
    answer = run("serve", *urls_of(*ports()), *arguments, folder=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr.startswith(text)
    assert list(tmp_path.iterdir()) == []


def test_ignored_flags_and_variables_are_logged_once_each(tmp_path: Path) -> None:
    arguments = [*urls_of(*ports()), "--max-wals=5"]
    with started(
        "serve", *arguments, folder=tmp_path, ETCD_MAX_SNAPSHOTS="5", ETCD_NAME="n"
    ) as member:
        member.wait_for("name=n")
    warnings = [line for line in member.lines if "level=warn" in line]
    assert [line.split(" msg=")[1].split(" is ignored")[0] for line in warnings] == [
        '"ETCD_MAX_SNAPSHOTS',
        '"--max-wals',
    ]


def test_log_as_json(tmp_path: Path) -> None:
    with started("serve", *urls_of(*ports()), "--log-format=json", folder=tmp_path) as member:
        line = json.loads(member.wait_for(READY))
    assert (line["level"], line["msg"], line["name"]) == ("info", READY, "default")


@pytest.mark.parametrize("form", ["-h", "--help", "-help"])
def test_help(tmp_path: Path, form: str) -> None:
    answer = run("serve", form, folder=tmp_path)
    assert answer.returncode == 0
    assert "With no flags: a working single node" in answer.stdout


@pytest.mark.parametrize("form", ["--version", "-version"])
def test_version_is_also_that_of_the_etcd_whose_interface_it_serves(
    tmp_path: Path, form: str
) -> None:
    answer = run("serve", form, folder=tmp_path)
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[1].startswith("etcd Version: 3.5.")


BROKEN = """
import sys
from raftwerk.cli.serve import main
from raftwerk.server.kv_service import KvService

def answer_key(service, call, query):
    raise {error}

KvService._answer_key = answer_key
sys.exit(main(sys.argv[1:]))
"""


def read_by_http(url: str) -> None:
    body = b'{"key": "YQ==", "serializable": true}'
    with contextlib.suppress(OSError):
        urllib.request.urlopen(urllib.request.Request(f"{url}/v3/kv/range", body), timeout=10)


def read_by_grpc(url: str) -> None:
    with contextlib.suppress(CallError), Client([url], timeout_s=10) as client:
        client.get(b"a", serializable=True)


@pytest.mark.parametrize("read", [read_by_http, read_by_grpc])
def test_assertion_that_fails_while_a_call_is_answered_ends_the_member(
    tmp_path: Path, read: Callable[[str], None]
) -> None:
    """Also where nothing of the node is under way. What goes wrong otherwise is the call's trouble alone."""
    for error in ("ValueError(1)", "AssertionError(1)"):
        client, peer = ports()
        flags = [*urls_of(client, peer), f"--initial-cluster=default=http://localhost:{peer}"]
        program = ("-c", BROKEN.format(error=error))
        with started(f"--data-dir={error}", *flags, folder=tmp_path, program=program) as running:
            running.wait_for(READY)
            read(f"http://127.0.0.1:{client}")
            if error.startswith("Value"):
                read(f"http://127.0.0.1:{client}")
                assert running.stop() == 0
            else:
                assert running.wait() == 1
                assert "AssertionError" in running.output
