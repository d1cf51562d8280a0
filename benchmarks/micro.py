"""CPU of each floor by itself, as JSON that can be compared between commits.

python -m benchmarks.micro [--only core,wal] [--instructions] [--against OTHER.json]

Microseconds of CPU for one command, call or key: the best of some rounds. --instructions counts instructions as well, under
valgrind's callgrind: the same on a busy machine as on a quiet one, to within a per mille or so, and slow. A measurement is
counted twice, once with a single round and once with two: the difference is what one round costs, without the start.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.micro_http2 import unary
from benchmarks.micro_kv import Bench
from raftwerk.kv.commands import Put, RangeQuery, encode
from raftwerk.raft.config import Config
from raftwerk.raft.effects import Persist
from raftwerk.raft.events import Persisted, Propose, Tick
from raftwerk.raft.membership import Membership
from raftwerk.raft.messages import AppendEntries
from raftwerk.raft.raft import Raft
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import Entry, EntryKind
from raftwerk.wal.disk import OsDisk
from raftwerk.wal.log import Wal
from raftwerk.wire import codec
from raftwerk.wire.frame import FrameDecoder

ROUNDS: Final = 5
BATCH: Final = 100
"""Commands of one step, one write, one message."""
BATCHES: Final = 20
"""In one round."""
COMMAND: Final = encode(Put(b"key/00000042", bytes(256)))
SUMMARY: Final = re.compile(r"Collected : (\d+)")

Round = Callable[[], float]
"""Does one round; returns CPU seconds for one command."""


def timed(count: int, work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) / count


def entries(first: int, count: int = BATCH) -> list[Entry]:
    return [Entry(index, 2, EntryKind.COMMAND, COMMAND) for index in range(first, first + count)]


def core_step(_: Path) -> Round:
    """A leader that is alone: propose, durable, committed. A new one for each round, since its log grows."""

    def leader() -> Raft:
        raft = Raft(1, Config(), Random(1), membership=Membership((1,)))
        while not isinstance(raft.state.role, Leader):
            out = raft.step([Tick(100)])
            while out.persist is not None:
                out = raft.step([Persisted(out.persist.ticket)])
        return raft

    def one() -> float:
        raft = leader()

        def work() -> None:
            for request in range(BATCHES):
                out = raft.step([Propose(request, [COMMAND] * BATCH)])
                assert out.persist is not None
                out = raft.step([Persisted(out.persist.ticket)])
                assert len(out.committed) == BATCH

        return timed(BATCH * BATCHES, work)

    return one


def wal_append(folder: Path) -> Round:
    """Encode and write; the CPU, not the waiting for the disk."""
    wal, _ = Wal.open(OsDisk(folder / "wal"), folder, 1, 1)
    state = {"index": 1, "ticket": 1}

    def work() -> None:
        for _ in range(BATCHES):
            group = entries(state["index"])
            wal.stage([Persist(state["ticket"], 2, 1, entries=group)]).run()
            state["index"] += BATCH
            state["ticket"] += 1

    return lambda: timed(BATCH * BATCHES, work)


def codec_encode(_: Path) -> Round:
    message = AppendEntries(2, 1, 0, 0, entries(1), 0, 0)
    return lambda: timed(BATCH * BATCHES, lambda: [codec.encode(message) for _ in range(BATCHES)])


def codec_decode(_: Path) -> Round:
    frame = codec.encode(AppendEntries(2, 1, 0, 0, entries(1), 0, 0))
    decoder = FrameDecoder()

    def work() -> None:
        for _ in range(BATCHES):
            for kind, payload in decoder.feed(frame):
                codec.decode(kind, payload)

    return lambda: timed(BATCH * BATCHES, work)


def http2_call(_: Path) -> Round:
    """The server's side of a unary call, 100 in one write."""

    def one() -> float:
        _, server_s, calls = unary(BATCH, COMMAND, BATCH * BATCHES)
        return server_s / calls

    return one


def _machine(folder: Path) -> Bench:
    return Bench(folder / "store", 10_000, 256)


def apply_put(folder: Path) -> Round:
    """The machine's side of a put, 100 in a batch; checkpoints are left out."""
    bench = _machine(folder)

    def one() -> float:
        bench.checkpoint()
        batch = [encode(Put(key, bench.value)) for key in bench.keys[:BATCH]]
        return timed(BATCH * BATCHES, lambda: [bench.apply(batch) for _ in range(BATCHES)])

    return one


def store_checkpoint(folder: Path) -> Round:
    """Writing what was put into LMDB, a key."""
    bench = _machine(folder)

    def one() -> float:
        bench.apply([encode(Put(key, bench.value)) for key in bench.keys[: BATCH * BATCHES]])
        return timed(BATCH * BATCHES, bench.checkpoint)

    return one


def store_get(folder: Path) -> Round:
    bench = _machine(folder)
    queries = [RangeQuery(key) for key in bench.keys[: BATCH * BATCHES]]
    return lambda: timed(len(queries), lambda: [bench.machine.range(one) for one in queries])


def store_range(folder: Path) -> Round:
    """A key of a list of 100."""
    bench = _machine(folder)
    query = RangeQuery(bench.keys[0], bench.keys[BATCH])
    return lambda: timed(
        BATCH * BATCHES, lambda: [bench.machine.range(query) for _ in range(BATCHES)]
    )


MICRO: Final[dict[str, Callable[[Path], Round]]] = {
    "core-step": core_step,
    "wal-append": wal_append,
    "codec-encode": codec_encode,
    "codec-decode": codec_decode,
    "http2-call": http2_call,
    "apply-put": apply_put,
    "store-checkpoint": store_checkpoint,
    "store-get": store_get,
    "store-range": store_range,
}


def microseconds(name: str, rounds: int = ROUNDS) -> float:
    """The best of the rounds."""
    with tempfile.TemporaryDirectory(prefix="raftwerk-micro-") as folder:
        one = MICRO[name](Path(folder))
        return 1e6 * min(one() for _ in range(rounds))


def instructions(name: str) -> float:
    """Of one command, as callgrind counts them. Raises RuntimeError when there is no valgrind."""
    counts = [_counted(name, rounds) for rounds in (1, 2)]
    return (counts[1] - counts[0]) / (BATCH * BATCHES)


def _counted(name: str, rounds: int) -> int:
    command = [
        *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
        *(sys.executable, "-m", "benchmarks.micro", f"--only={name}", f"--bare={rounds}"),
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except FileNotFoundError as error:
        raise RuntimeError("valgrind is not installed") from error
    found = SUMMARY.search(done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"callgrind failed: {done.stderr[-1000:]}")
    return int(found[1])


def print_table(measured: report.Rows, before: report.Rows) -> None:
    """With the ratio to other figures, where there are any."""
    names = list(next(iter(measured.values())))
    table = Table("floor", *(title for name in names for title in (name, "ratio")))
    for floor, figures in measured.items():
        cells = []
        for name in names:
            other = before.get(floor, {}).get(name)
            cells += [f"{figures[name]:,.2f}", f"{figures[name] / other:.3f}" if other else "-"]
        table.add_row(floor, *cells)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(MICRO), help="comma-separated")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--against", type=Path, help="JSON of another run")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder")
    parser.add_argument("--bare", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.only.split(",")
    if given.bare:
        microseconds(names[0], given.bare)
        return
    measured: report.Rows = {}
    for name in names:
        measured[name] = {"cpu_us": microseconds(name)}
        if given.instructions:
            measured[name]["instructions"] = instructions(name)
    before = json.loads(given.against.read_text())["floors"] if given.against else {}
    print_table(measured, before)
    print(f"kept in {report.keep('micro', {'floors': measured}, given.results)}")


if __name__ == "__main__":
    main()
