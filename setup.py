"""The optional compiled build: `RAFTWERK_COMPILE=1 pip install .` turns the hot modules into C with mypyc.

The package in plain Python is always complete, and is what is installed otherwise; pyproject.toml has everything else.
docs/performance.md says what compiling brings.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext

COMPILED = {
    ".": "durations",
    "client": "arguments calls channel connections deadlines fate load_requests load_run numbers process puts",
    "http2": "*",
    "kv": "alarms compaction compare lease machine read rows sessions steps store txn versions watch watch_history watch_index",
    "raft": "*",
    "replica": "applier checkpoints proposals reads replica",
    "runtime": "afterwards clock connection core_waits journal links node",
    "sim": "clock cluster disk history journal kv_machine network node trace world",
    "sim/checkers": "*",
    "server": "alarms calls gateway_call grpc_shell kv_service session_puts sessions "
    "translate txn_request validate watch_response watch_stream",
    "storage": "changes lmdb_checkpoint lmdb_notes lmdb_rows lmdb_store lmdb_tables overlay parts reader recent",
    "wal": "log",
    "wire": "codec frame",
}
"""By package: what a request passes on its way, and what is done for each step, each key or each event, simulated ones too.

Left out: what is done seldom; storage/memory.py and sim/machines.py, which others extend; modules that declare msgspec
structures, which are C already, or whose types msgspec reads as they are declared.
"""
LEFT_OUT = {"raft/messages.py", "raft/types.py", "raft/__init__.py", "http2/__init__.py"}
"""msgspec reads the first two as they are declared."""


class BuildOnAllProcessors(build_ext):
    """The C compiler works on several files at once."""

    def build_extensions(self) -> None:
        compile_all = self.compiler.compile
        with ThreadPoolExecutor(os.cpu_count()) as executor:

            def compile_each(sources: list[str], **options: Any) -> list[str]:
                objects = executor.map(lambda source: compile_all([source], **options), sources)
                return [path for paths in objects for path in paths]

            self.compiler.compile = compile_each
            super().build_extensions()


def sources() -> list[str]:
    return [
        str(path)
        for package, names in COMPILED.items()
        for name in names.split()
        for path in sorted(Path("src/raftwerk", package).glob(f"{name}.py"))
        if path.relative_to("src/raftwerk").as_posix() not in LEFT_OUT
    ]


def extensions() -> list[object]:
    if not {"bdist_wheel", "build_ext"} & set(sys.argv):
        return []  # pip asks first what the build needs (setup_requires), and for metadata
    from mypyc.build import mypycify

    # The types of other packages are not installed where pip builds; `make verify` has checked with them
    flags = [
        "--config-file=",
        "--cache-dir=build/mypy",
        "--ignore-missing-imports",
        "--follow-imports=silent",
        "--python-version=3.11",
    ]
    return list(
        mypycify(
            [*flags, *sources()],
            opt_level="2",
            debug_level="0",
            group_name="raftwerk",
            multi_file=True,
        )
    )


if os.environ.get("RAFTWERK_COMPILE") == "1":
    setup(
        setup_requires=["mypy>=1.14"],
        ext_modules=extensions(),
        cmdclass={"build_ext": BuildOnAllProcessors},
    )
else:
    setup()
