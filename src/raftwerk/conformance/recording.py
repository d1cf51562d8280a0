"""What etcd answered, kept in files: one for each area, a line for each answer."""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

ETCD: Final = "3.5"
"""The release that was asked."""

Answers = Sequence[Mapping[str, Any]]


def folder() -> Traversable:
    return resources.files("raftwerk.conformance") / "recorded"


def load(area: str) -> dict[str, Answers]:
    """By case."""
    file = folder() / f"{area}.json"
    recorded: dict[str, Answers] = json.loads(file.read_text(encoding="utf-8"))
    return recorded


def text_of(recorded: Mapping[str, Answers]) -> str:
    """As it is in the file: readable, and with small differences between versions."""
    cases = []
    for name, answers in recorded.items():
        lines = ",\n".join(f"  {json.dumps(answer, ensure_ascii=True)}" for answer in answers)
        cases.append(f"{json.dumps(name)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(cases) + "\n}\n"
