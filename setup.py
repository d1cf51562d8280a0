"""The optional compiled build: `RAFTWERK_COMPILE=1 pip install .` turns the hot modules into C with mypyc.

The package in plain Python is always complete, and is what is installed otherwise; pyproject.toml has everything else.
docs/performance.md says what compiling brings.
"""

import os
import sys
from pathlib import Path

from setuptools import setup

COMPILED = {
    "http2": "*",
    "kv": "alarms compaction compare lease machine read rows sessions txn versions watch watch_history watch_index",
    "raft": "*",
    "replica": "*",
    "runtime": "background clock connection journal lessor links node",
    "server": "calls gateway_call grpc_shell kv_service translate validate watch_response watch_stream",
    "storage": "lmdb_rows lmdb_store overlay reader",
    "wal": "disk log",
    "wire": "codec frame",
}
"""By package: what a request passes on its way, and what is done in each step, for each key, or for each event.

Left out: modules that declare msgspec structures, which are C already; storage/memory.py, which tests extend; what is done
once or seldom. The simulator's mutants change functions of the plain package, and say so in a compiled one.
"""


def sources() -> list[str]:
    return [
        str(path)
        for package, names in COMPILED.items()
        for name in names.split()
        for path in sorted(Path("src/raftwerk", package).glob(f"{name}.py"))
        if path.name != "__init__.py"
    ]


def extensions() -> list[object]:
    if not {"bdist_wheel", "build_ext"} & set(sys.argv):
        return []  # pip asks first what the build needs (setup_requires), and for metadata
    from mypyc.build import mypycify

    # The types of other packages are not installed where pip builds; `make verify` has checked with them
    flags = [
        "--config-file=",
        "--ignore-missing-imports",
        "--follow-imports=silent",
        "--python-version=3.11",
    ]
    return list(
        mypycify([*flags, *sources()], opt_level="3", debug_level="0", group_name="raftwerk")
    )


if os.environ.get("RAFTWERK_COMPILE") == "1":
    setup(setup_requires=["mypy>=1.14"], ext_modules=extensions())
else:
    setup()
