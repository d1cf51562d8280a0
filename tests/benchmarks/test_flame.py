"""Flame graphs of sampled stacks."""

import xml.etree.ElementTree as ET

import pytest

from benchmarks.flame import folded, name_of, svg

STEP = """python 7 1.5: 1000 cpu-clock:
\t          11ebc4 [unknown] (/usr/bin/python3.11)
\t          2b711d CPyDef_raft___Raft___step+0x15d (/venv/raftwerk__mypyc.cpython-311-x86_64-linux-gnu.so)
\t          31f474 CPyDef_replica___Replica___step+0x1c4 (/venv/raftwerk__mypyc.cpython-311-x86_64-linux-gnu.so)
\t          12cc40 uv__run_idle+0x80 (/venv/loop.cpython-311-x86_64-linux-gnu.so)
"""
SEND = """python 7 1.6: 1000 cpu-clock:
\tffffffff821f39e5 tcp_sendmsg+0x105 ([kernel.kallsyms])
\t          361306 CPyPy_links___Links____send+0x36 (/venv/raftwerk__mypyc.cpython-311-x86_64-linux-gnu.so)
\t          31f474 CPyDef_links___Links____send+0x1c4 (/venv/raftwerk__mypyc.cpython-311-x86_64-linux-gnu.so)
\t          10f065 __pyx_f_6uvloop_4loop_6Handle__run+0x4f5 (/venv/loop.cpython-311-x86_64-linux-gnu.so)
"""
WRITE = """python 8 1.7: 1000 cpu-clock:
\t          11ebc4 memmove+0x2 (/lib/libc.so.6)
\t          31f474 CPyDef_runtime___journal___WalJournal____run+0x1c4 (/venv/raftwerk__mypyc.cpython-311-x86_64-linux-gnu.so)
"""


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("CPyDef_raft___Raft___step+0x15d", "Raft.step"),
        ("CPyDef_links___Links____send", "Links._send"),
        ("CPyDef_http2___connection___Connection___receive+0x69", "Connection.receive"),
        ("CPyDef_rows___varint", "varint"),
        ("CPyDef_calls____done_or_not_told", "_done_or_not_told"),
        ("CPyDef_machine____apply_KvMachine_gen_____mypyc_generator_helper__", "_apply_KvMachine"),
    ],
)
def test_names_tell_the_function_alone(symbol: str, name: str) -> None:
    assert name_of(symbol) == name


def test_samples_stand_upon_each_other_and_add_up() -> None:
    root = folded(f"{STEP}\n" * 3 + f"{SEND}\n" + f"{WRITE}\n" * 4)
    loop = root.above["event loop"]
    assert (root.samples, loop.samples, root.above["other threads"].samples) == (8, 4, 4)
    step = loop.above["Replica.step"]
    assert (step.samples, list(step.above)) == (3, ["Raft.step"])
    assert list(step.above["Raft.step"].above) == ["python3.11"]
    assert list(loop.above["Links._send"].above) == ["kernel"]  # mypyc's wrapper is left out


def test_widths_are_shares() -> None:
    drawing = ET.fromstring(svg(folded(f"{STEP}\n{STEP}\n{SEND}\n{WRITE}")))
    boxes = {}
    for group in drawing:
        title, rect, _ = group
        boxes[title.text] = float(rect.get("width", "nan"))
    assert boxes["the process: 100.0%"] == 1200
    assert boxes["event loop: 75.0%"] == 900
    assert boxes["libc.so.6: 25.0%"] == 300
