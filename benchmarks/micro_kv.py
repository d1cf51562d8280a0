"""CPU time of the key-value machine's hot paths on the LMDB store, in microseconds a command, without Raft or network.

python -m benchmarks.micro_kv [--keys N] [--value-bytes N]

Each line is the best of ROUNDS rounds. "below": the keys stand in LMDB; "overlay": they were written since the last checkpoint.
"""

import argparse
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import lmdb
from rich.console import Console
from rich.table import Table

from raftwerk.kv.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    Put,
    RangeQuery,
    SessionOpen,
    SessionWrite,
    Txn,
    encode,
)
from raftwerk.kv.machine import KvMachine
from raftwerk.kv.results import RangeResult, SessionResult
from raftwerk.storage.lmdb_store import LmdbStore

ROUNDS = 5
COMMANDS = 5_000
"""Measured in one round."""
HOT_VERSIONS = 10_000
ROW_BYTES = 60
"""Of a key in the table of keys, about."""
OUTSTANDING = 100
"""Writes of a session that the client still waits for."""


class Bench:
    """A machine over a store with `keys` keys below, in a folder that goes away."""

    def __init__(self, folder: Path, keys: int, value_bytes: int) -> None:
        self.machine = KvMachine(LmdbStore(folder))
        self.value = b"v" * value_bytes
        self.keys = [b"key/%012d" % number for number in range(keys)]
        self.random = random.Random(1)
        self.table = Table("path", "us", title=f"{keys:,} keys, {value_bytes}-byte values")
        self._index = 0
        for start in range(0, keys, 10_000):
            self.apply([encode(Put(key, self.value)) for key in self.keys[start : start + 10_000]])
            self.checkpoint()

    def apply(self, batch: Sequence[bytes]) -> None:
        self._index += len(batch)
        applied = self.machine.apply(batch, self._index, self._index.to_bytes(16, "big"))
        if isinstance(applied, Generator):
            for _ in applied:
                pass

    def open_session(self) -> int:
        self._index += 1
        (result,) = self.machine.apply([encode(SessionOpen(1))], self._index, bytes(16))
        assert isinstance(result, SessionResult)
        return result.session

    def checkpoint(self) -> None:
        checkpoint = self.machine.begin_checkpoint()
        if checkpoint is not None:
            while not checkpoint.write():
                pass
            checkpoint.commit()
            checkpoint.finish(committed=True)

    def measure(
        self, name: str, run: Callable[[], int], *, before: Callable[[], object] | None = None
    ) -> None:
        """run: returns how many commands it has executed."""
        best = float("inf")
        for _ in range(ROUNDS):
            if before is not None:
                before()
            start = time.process_time()
            count = run()
            best = min(best, (time.process_time() - start) / count * 1e6)
        self.table.add_row(name, f"{best:.2f}")

    def some_keys(self) -> list[bytes]:
        return self.random.sample(self.keys, min(COMMANDS, len(self.keys)))


def writes(bench: Bench) -> None:
    """Puts and transactions, as the log brings them."""
    batch: list[bytes] = []

    def puts(keys: Callable[[], list[bytes]]) -> Callable[[], None]:
        def prepare() -> None:
            bench.checkpoint()
            batch[:] = [encode(Put(key, bench.value)) for key in keys()]

        return prepare

    def run(size: int) -> Callable[[], int]:
        def apply() -> int:
            for start in range(0, len(batch), size):
                bench.apply(batch[start : start + size])
            return len(batch)

        return apply

    session = bench.open_session()
    numbers = itertools.count(1)

    def session_puts() -> None:
        bench.checkpoint()
        batch[:] = [
            encode(
                SessionWrite(session, number, max(1, number - OUTSTANDING), Put(key, bench.value))
            )
            for number, key in zip(numbers, bench.some_keys(), strict=False)
        ]

    def new_keys() -> list[bytes]:
        return [b"new/%d" % bench.random.getrandbits(60) for _ in range(COMMANDS)]

    bench.measure("put, keys below, 64 in a batch", run(64), before=puts(bench.some_keys))
    bench.measure("put, keys below, alone", run(1), before=puts(bench.some_keys))
    bench.measure("put, new keys, 64 in a batch", run(64), before=puts(new_keys))
    bench.measure("put, one hot key", run(64), before=puts(lambda: [b"hot"] * COMMANDS))

    bench.measure("put in a session, 64 in a batch", run(64), before=session_puts)

    def transactions() -> None:
        bench.checkpoint()
        batch[:] = [
            encode(
                Txn(
                    (Compare(CompareTarget.MOD, CompareResult.GREATER, key, 0),),
                    (Put(key, bench.value),),
                    (RangeQuery(key),),
                )
            )
            for key in bench.some_keys()
        ]

    bench.measure("txn: compare, put", run(64), before=transactions)


def reads(bench: Bench) -> None:
    """Ranges."""
    queries: list[RangeQuery] = []

    def run() -> int:
        for query in queries:
            assert isinstance(bench.machine.range(query), RangeResult)
        return len(queries)

    def gets() -> None:
        bench.checkpoint()
        queries[:] = [RangeQuery(key) for key in bench.some_keys()]

    def gets_over_writes() -> None:
        gets()
        bench.apply([encode(Put(query.key, bench.value)) for query in queries])

    bench.measure("get, keys below", run, before=gets)
    bench.measure("get, keys in the overlay", run, before=gets_over_writes)

    bench.apply([encode(Put(b"hot", bench.value))] * HOT_VERSIONS)

    def hot() -> None:
        bench.checkpoint()
        newest = bench.machine.revision
        queries[:] = [RangeQuery(b"hot", revision=newest - 5_000 - back) for back in range(50)]

    bench.measure("get, 5,000 versions back", run, before=hot)

    def lists() -> None:
        bench.checkpoint()
        starts = range(0, min(len(bench.keys) - 101, 10_000), 100)
        queries[:] = [RangeQuery(bench.keys[at], bench.keys[at + 100]) for at in starts]

    bench.measure("list of 100 keys", run, before=lists)

    def counts() -> None:
        bench.checkpoint()
        queries[:] = [RangeQuery(b"key/", b"key0", count_only=True)]

    bench.measure(f"count of {len(bench.keys):,} keys", run, before=counts)


def bare(bench: Bench, folder: Path) -> None:
    """What a put reads, by LMDB alone: a row of as many bytes as that of a key has, by a key of the same number of others."""
    keys: list[bytes] = []

    def draw() -> None:
        keys[:] = bench.some_keys()

    with lmdb.open(str(folder), map_size=2**32, sync=False) as environment:
        with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti([(key, bytes(ROW_BYTES)) for key in bench.keys], append=True)
        with environment.begin() as transaction:

            def run() -> int:
                for key in keys:
                    transaction.get(key)
                return len(keys)

            bench.measure("LMDB alone: a row", run, before=draw)
            bench.measure("LMDB alone: a row that was read just before", run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--value-bytes", type=int, default=256)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="raftwerk-micro-"))
    try:
        bench = Bench(folder / "store", options.keys, options.value_bytes)
        writes(bench)
        reads(bench)
        bare(bench, folder / "bare")
        Console().print(bench.table)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
