"""docs/etcd-lessons.md names a test for each bug that etcd has shipped: the tests are there."""

import ast
import re
from pathlib import Path

import pytest

from tests.documents import text_of

ROOT = Path(__file__).parent.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text_of("etcd-lessons.md"))
SHIPPED = (
    "13766",
    "14370",
    "14685",
    "14571",
    "15220",
    "15271",
    "17529",
    "18089",
    "19179",
    "17780",
    "18667",
    "20221",
    "20418",
    "15247",
    "12528",
    "9888",
    "13491",
    "17132",
    "18424",
)


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions


@pytest.mark.parametrize("number", SHIPPED)
def test_bug_has_its_row(number: str) -> None:
    rows = [row for row in text_of("etcd-lessons.md").splitlines() if number in row]
    assert any("`tests/" in row for row in rows)
