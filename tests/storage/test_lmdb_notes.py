"""What is noted, in LMDB: in the order in which it came, whichever of the two tables has it."""

from typing import Any

import pytest

from raftwerk.storage.lmdb_tables import Tables
from raftwerk.storage.overlay import Row
from tests.storage.transactions import written

FIRST: list[Row] = [(b"a", b"1"), (b"b", None)]
SECOND: list[Row] = [(b"a", b"2")]
THIRD: list[Row] = [(b"long" * 1000, b"3")]


def test_nothing_is_noted_in_a_new_environment(environment: Any, tables: Tables) -> None:
    with written(environment, tables) as rows:
        assert rows.notes().generations() == []


@pytest.mark.parametrize("older", [0, 1])
def test_older_generation_comes_first_whatever_its_number(
    environment: Any, tables: Tables, older: int
) -> None:
    with written(environment, tables) as rows:
        notes = rows.notes()
        notes.add(older, [FIRST, SECOND])
        notes.add(older, [THIRD])
        notes.add(1 - older, [SECOND])
        assert notes.generations() == [older, 1 - older]
        assert list(notes.read(older)) == [*FIRST, *SECOND, *THIRD]
        assert list(notes.read(1 - older)) == SECOND


def test_numbers_go_on_when_a_generation_is_forgotten(environment: Any, tables: Tables) -> None:
    """Else the next one in its table would be taken for the older one."""
    with written(environment, tables) as rows:
        notes = rows.notes()
        notes.add(0, [FIRST])
        notes.add(1, [SECOND])
        notes.forget(0)
        assert notes.generations() == [1]
        notes.add(0, [THIRD])
        assert notes.generations() == [1, 0]
        assert list(notes.read(0)) == THIRD
