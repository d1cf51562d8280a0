"""Commands that go on: what they print, how they end, and what they leave behind."""

import asyncio
import base64
import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from raftwerk.api import status
from raftwerk.cli.main import app
from raftwerk.sync import Client
from tests.cli.commands import run, started
from tests.client.scripted import scripted
from tests.conftest import running_cluster
from tests.waiting import until


def raftwerk(*arguments: str, endpoint: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(app, [command, *rest], env={"RAFTWERK_ENDPOINTS": endpoint})


def revision_of(answer: Result) -> int:
    return int(answer.stdout.split()[-1])


def test_watch_prints_what_happens(live_endpoint: str) -> None:
    revision = revision_of(raftwerk("put", "w/1", "x", endpoint=live_endpoint))
    raftwerk("del", "w/1", endpoint=live_endpoint)
    arguments = ("watch", "w/", "--prefix", f"--rev={revision}", "--count=2", "--prev-kv")
    answer = raftwerk(*arguments, endpoint=live_endpoint)
    assert answer.stdout.splitlines() == [
        f"{revision} PUT w/1 x",
        f"{revision + 1} DELETE w/1 (before: x)",
    ]


def test_watch_has_one_line_for_each_event_whatever_its_value_has(live_endpoint: str) -> None:
    """Else a value could look like an event that never was."""
    value = "x\n99 DELETE forged\x1b[2J"
    revision = revision_of(raftwerk("put", "wl", value, endpoint=live_endpoint))
    answer = raftwerk("watch", "wl", f"--rev={revision}", "--count=1", endpoint=live_endpoint)
    encoded = base64.b64encode(value.encode()).decode()
    assert answer.stdout == f"{revision} PUT wl base64:{encoded}\n"


def test_watch_of_a_range_tells_where_it_begins(live_endpoint: str) -> None:
    revision = revision_of(raftwerk("put", "wr/a", "x", endpoint=live_endpoint))
    raftwerk("put", "wr/c", "not in it", endpoint=live_endpoint)
    raftwerk("put", "wr/b", "y", endpoint=live_endpoint)
    arguments = ("watch", "wr/a", "wr/c", f"--rev={revision}", "--count=2")
    answer = raftwerk(*arguments, endpoint=live_endpoint)
    assert answer.stdout == f"{revision} PUT wr/a x\n{revision + 2} PUT wr/b y\n"
    assert answer.stderr == f"watching from revision {revision} on\n"


@pytest.mark.parametrize("arguments", ["watch x -- echo", "watch x --prev-kv -- echo"], ids=str)
def test_command_for_each_event_is_not_taken_for_a_range(tmp_path: Path, arguments: str) -> None:
    """etcdctl runs it."""
    answer = run(*arguments.split(), folder=tmp_path, RAFTWERK_ENDPOINTS="127.0.0.1:1")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "no command is run for each event" in answer.stderr


def test_watch_from_what_is_forgotten_tells_what_is_not(etcd_endpoint: str) -> None:
    revision = revision_of(raftwerk("put", "wf", "1", endpoint=etcd_endpoint))
    raftwerk("put", "wf", "2", endpoint=etcd_endpoint)
    raftwerk("compact", f"{revision + 1}", endpoint=etcd_endpoint)
    answer = raftwerk("watch", "wf", f"--rev={revision}", endpoint=etcd_endpoint)
    assert answer.exit_code == 2
    told = f"raftwerk: the first revision that is not forgotten is {revision + 1}\n"
    assert answer.stderr.endswith(told)


def test_watch_from_now_on_tells_from_when(live_endpoint: str, tmp_path: Path) -> None:
    with started("watch", "wn", folder=tmp_path, RAFTWERK_ENDPOINTS=live_endpoint) as process:
        begun = int(process.wait_for("watching from revision").split()[-2])
        revision = revision_of(raftwerk("put", "wn", "1", endpoint=live_endpoint))
        assert process.wait_for("PUT") == f"{revision} PUT wn 1"
        assert begun == revision


def test_watch_as_json(live_endpoint: str) -> None:
    revision = revision_of(raftwerk("put", "wj", "x", endpoint=live_endpoint))
    answer = raftwerk(
        "watch", "wj", f"--rev={revision}", "--count=1", "--json", endpoint=live_endpoint
    )
    event = json.loads(answer.stdout)
    assert (event["type"], event["kv"]["key"]) == ("PUT", "d2o=")


def test_watch_ends_with_the_interrupt(live_endpoint: str, tmp_path: Path) -> None:
    revision = revision_of(raftwerk("put", "wi", "1", endpoint=live_endpoint))
    arguments = ("watch", "wi", f"--rev={revision}")
    with started(*arguments, folder=tmp_path, RAFTWERK_ENDPOINTS=live_endpoint) as process:
        process.wait_for("PUT wi 1")
        assert process.stop(signal.SIGINT) == 130
        assert "Traceback" not in process.output


def test_lock_ends_with_its_command(live_endpoint: str) -> None:
    for command, code in ((["true"], 0), (["sh", "-c", "exit 7"], 7)):
        assert raftwerk("lock", "l", "--", *command, endpoint=live_endpoint).exit_code == code
    assert raftwerk("get", "l/", "--prefix", endpoint=live_endpoint).exit_code == 1, (
        "nothing is left"
    )


def test_command_of_a_lock_knows_its_key_and_its_fencing_token(
    live_endpoint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """As with etcdctl."""
    lines = []
    for _ in range(2):
        script = 'echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV $HOME"'
        assert (
            raftwerk("lock", "env", "--", "sh", "-c", script, endpoint=live_endpoint).exit_code == 0
        )
        lines.append(capfd.readouterr().out.split())
    (first, older, home), (second, newer, _) = lines
    assert first != second
    assert first.startswith("env/")
    assert int(older) < int(newer)
    assert home == os.environ["HOME"]


def test_lock_is_held_until_the_interrupt(live_endpoint: str, tmp_path: Path) -> None:
    with started("lock", "held", folder=tmp_path, RAFTWERK_ENDPOINTS=live_endpoint) as process:
        key = process.wait_for("held/")
        assert raftwerk("get", key, endpoint=live_endpoint).exit_code == 0
        assert process.stop(signal.SIGINT) == 0
    assert raftwerk("get", key, endpoint=live_endpoint).exit_code == 1


def test_elect_shows_the_leader(live_endpoint: str, tmp_path: Path) -> None:
    environment = {"RAFTWERK_ENDPOINTS": live_endpoint}
    with (
        started("elect", "boss", "--listen", folder=tmp_path, **environment) as listening,
        started("elect", "boss", "me", folder=tmp_path, **environment) as leading,
    ):
        key = leading.wait_for("boss/")
        assert listening.wait_for("boss/") == key
        leading.wait_for("me")
        listening.wait_for("me")
        assert (leading.lines, listening.lines) == ([key, "me"], [key, "me"])
        assert (leading.stop(signal.SIGTERM), listening.stop(signal.SIGINT)) == (0, 0)
        assert (leading.lines, listening.lines) == ([key, "me"], [key, "me"])


def test_leases(live_endpoint: str) -> None:
    granted = raftwerk("lease", "grant", "100", endpoint=live_endpoint).stdout.split()
    assert granted[2:] == ["granted", "for", "100", "s"]
    lease = granted[1]
    raftwerk("put", "leased", "x", f"--lease={lease}", endpoint=live_endpoint)
    assert lease in raftwerk("lease", "list", endpoint=live_endpoint).stdout.split()
    left = raftwerk("lease", "timetolive", lease, endpoint=live_endpoint)
    assert left.stdout.splitlines()[1:] == ["leased"]
    for option, keys in (("--keys", ["leased"]), ("--keys=false", []), ("--no-keys", [])):
        left = raftwerk("lease", "timetolive", lease, option, endpoint=live_endpoint)
        assert (left.exit_code, left.stdout.splitlines()[1:]) == (0, keys)
    once = raftwerk("lease", "keep-alive", lease, "--once", endpoint=live_endpoint)
    assert (once.exit_code, once.stdout) == (0, f"lease {lease} renewed for 100 s\n")
    listed = raftwerk("lease", "list", "--json", endpoint=live_endpoint)
    assert {"ID": str(int(lease, 16))} in json.loads(listed.stdout)["leases"]
    for code, told in ((0, f"lease {lease} revoked\n"), (1, f"there is no lease {lease}\n")):
        revoked = raftwerk("lease", "revoke", lease, endpoint=live_endpoint)
        assert (revoked.exit_code, revoked.stdout) == (code, told)
    assert raftwerk("get", "leased", endpoint=live_endpoint).exit_code == 1
    over = raftwerk("lease", "timetolive", lease, endpoint=live_endpoint)
    assert (over.exit_code, over.stdout) == (1, f"lease {lease} is over, or was never granted\n")
    for arguments in ((), ("--once",)):
        gone = raftwerk("lease", "keep-alive", lease, *arguments, endpoint=live_endpoint)
        assert (gone.exit_code, gone.stdout) == (1, f"lease {lease} is over\n")


def test_lease_is_kept_alive_until_it_is_revoked(live_endpoint: str, tmp_path: Path) -> None:
    lease = raftwerk("lease", "grant", "30", endpoint=live_endpoint).stdout.split()[1]
    arguments = ("lease", "keep-alive", lease)
    with started(*arguments, folder=tmp_path, RAFTWERK_ENDPOINTS=live_endpoint) as process:
        process.wait_for(f"lease {lease} is kept alive")
        assert raftwerk("lease", "revoke", lease, endpoint=live_endpoint).exit_code == 0
        assert process.wait() == 1
        assert process.output.endswith(f"lease {lease} is over")


@pytest.mark.parametrize("command", [("grant", "10"), ("revoke", "1f")], ids=["grant", "revoke"])
@pytest.mark.parametrize(
    ("answers", "code"),
    [([status.NO_SPACE], 2), ([status.TIMED_OUT, status.NO_SPACE], 3)],
    ids=["refused", "in doubt"],
)
def test_lease_command_whose_outcome_is_unknown_is_3(
    command: tuple[str, str], answers: list[status.Status], code: int
) -> None:
    """And one that was refused, and did nothing, is 2. In doubt it is sent again, and remains so when that is refused."""

    async def main() -> Result:
        async with scripted(*answers) as server:
            return await asyncio.to_thread(raftwerk, "lease", *command, endpoint=server.endpoint)

    answer = asyncio.run(main())
    assert (answer.exit_code, answer.stdout) == (code, "")
    assert ("it may have happened, or may yet happen" in answer.stderr) == (code == 3)
    assert status.NO_SPACE.text in answer.stderr


def test_a_lease_that_is_no_number(live_endpoint: str) -> None:
    assert raftwerk("lease", "revoke", "xyz", endpoint=live_endpoint).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["put", "a", "b", "--lease=ffffffffffffffffff"],
        ["put", "a", "b", "--lease=-1"],
        ["get", "a", "--rev=99999999999999999999"],
        ["get", "a", "--limit=99999999999999999999"],
        ["get", "a", "--limit=-1"],
        ["watch", "a", "--rev=99999999999999999999"],
        ["lease", "grant", "99999999999999999999"],
        ["lease", "grant", "0"],
        ["lock", "a", "--ttl=99999999999999999999"],
        ["elect", "a", "b", "--ttl=0"],
        ["compact", "99999999999999999999"],
        ["member", "remove", "fffffffffffffffff"],
    ],
    ids=" ".join,
)
def test_numbers_that_are_out_of_range_are_told_with_exit_code_2(
    arguments: list[str], live_endpoint: str
) -> None:
    answer = raftwerk(*arguments, endpoint=live_endpoint)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "Invalid value" in answer.stderr or "hex" in answer.stderr


def test_lock_for_a_program_that_is_not_there(live_endpoint: str) -> None:
    answer = raftwerk("lock", "nothing", "--", "/no/such/program", endpoint=live_endpoint)
    assert answer.exit_code == 2
    assert answer.stderr == "raftwerk: /no/such/program cannot be run: No such file or directory\n"
    assert raftwerk("get", "nothing/", "--prefix", endpoint=live_endpoint).exit_code == 1


def wait_for_keys(name: str, count: int, endpoint: str) -> None:
    arguments = ("get", f"{name}/", "--prefix", "--count-only")
    until(lambda: raftwerk(*arguments, endpoint=endpoint).stdout == f"{count}\n")


@pytest.mark.parametrize("command", ["lock turn", "elect turn me"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_whoever_waits_for_a_turn_ends_with_a_signal(
    command: str, number: signal.Signals, code: int, live_endpoint: str, tmp_path: Path
) -> None:
    """And leaves the queue."""
    with (
        Client([live_endpoint]) as client,
        client.lock(b"turn"),
        started(*command.split(), folder=tmp_path, RAFTWERK_ENDPOINTS=live_endpoint) as waiting,
    ):
        wait_for_keys("turn", 2, live_endpoint)
        assert waiting.stop(number) == code
        assert waiting.output == ""
        wait_for_keys("turn", 1, live_endpoint)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("trap 'exit 9' TERM; echo running; while :; do sleep 0.1; done", 9),
        ("echo running; exec sleep 100", 143),
    ],
    ids=["it ends as it likes", "it is killed"],
)
def test_the_command_of_a_lock_is_told_to_end(
    script: str, code: int, live_endpoint: str, tmp_path: Path
) -> None:
    arguments = ("lock", "told", "--", "sh", "-c", script)
    with started(*arguments, folder=tmp_path, RAFTWERK_ENDPOINTS=live_endpoint) as process:
        process.wait_for("running")
        assert process.stop(signal.SIGTERM) == code
    assert raftwerk("get", "told/", "--prefix", endpoint=live_endpoint).exit_code == 1


def test_what_goes_on_tells_when_there_is_no_leader_and_when_there_is_one_again(
    tmp_path: Path,
) -> None:
    with running_cluster(tmp_path, 3) as cluster, ExitStack() as stack:
        _, *others = cluster.members
        endpoints = ",".join(f"127.0.0.1:{member.client_port}" for member in cluster.members)
        client = stack.enter_context(Client(endpoints.split(",")))
        lock = client.lock(b"turn", 60)
        stack.enter_context(lock)
        watch, wait, listen = (
            stack.enter_context(
                started(*command.split(), folder=tmp_path, RAFTWERK_ENDPOINTS=endpoints)
            )
            for command in ("watch k", "lock turn --ttl=60", "elect turn --listen")
        )
        watch.wait_for("watching from revision")
        listen.wait_for("turn/")
        wait_for_keys("turn", 2, endpoints)
        for member in others:
            cluster.kill(member)
        for command, name in ((watch, "watch"), (wait, "lock"), (listen, "elect")):
            told = command.wait_for(" tries on: ")
            assert told.startswith(
                f"raftwerk: {name} waits, for 5 s now, for {endpoints.replace(',', ', ')}"
            )
            assert "knows no leader: most members may be down" in told
        for member in others:
            cluster.start(member)
        for command, name in ((watch, "watch"), (wait, "lock"), (listen, "elect")):
            assert command.wait_for(" goes on") == f"raftwerk: {name} goes on"
        client.put(b"k", b"1")
        watch.wait_for("PUT k 1")
