"""Names that are looked up."""

import pytest

from raftwerk.errors import UsageError
from raftwerk.sim.names import chosen, near_names

TABLE = {"InitialElection": 1, "ReElection": 2, "Backup": 3, "vote-not-persisted": 4}


def test_a_known_name_is_found() -> None:
    assert chosen("scenario", "Backup", TABLE) == 3


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("InitialErection", ["InitialElection"]),
        ("backup", ["Backup"]),
        ("vote", ["vote-not-persisted"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_near_names(name: str, near: list[str]) -> None:
    assert near_names(name, TABLE)[:1] == near


def test_an_unknown_name_is_refused_with_what_is_near() -> None:
    with pytest.raises(UsageError, match=r"did you mean Backup\? .*--scenario list"):
        chosen("scenario", "Bakcup", TABLE)
    with pytest.raises(UsageError, match="'zzz'; `raftwerk sim --mutant list`"):
        chosen("mutant", "zzz", TABLE)
