"""Another process may look at a store that is in use, and be killed while it does."""

import subprocess
import sys
from pathlib import Path

from raftwerk.kv.store import Table
from raftwerk.storage.lmdb_store import LmdbStore
from tests.checkpoints import complete

READER = """
import sys
from pathlib import Path
from raftwerk.storage.lmdb_store import LmdbStore

store = LmdbStore(Path(sys.argv[1]), read_only=True)
print("reads", flush=True)
sys.stdin.read()
"""


def _rewrite(store: LmdbStore, times: int) -> int:
    """The same keys again and again, a checkpoint each. Returns the size of the file."""
    for number in range(times):
        for key in range(100):
            store.put(Table.KEYS, b"%d" % key, bytes([number]) * 3000)
        complete(store.begin_checkpoint(number))
    return store.size_bytes[0]


def test_what_a_killed_process_was_reading_is_free_again(tmp_path: Path) -> None:
    """Else no page that was in use then would ever be: the file would grow until the next start."""
    store = LmdbStore(tmp_path)
    size = _rewrite(store, 5)
    command = [sys.executable, "-c", READER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reads\n"
        reader.kill()
    assert _rewrite(store, 10) < 2 * size
    store.close()
