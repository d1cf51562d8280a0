"""Looking up what has a name, for people: an unknown one is answered with the names that are near."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, TypeVar

from raftwerk.errors import UsageError

T = TypeVar("T")

NEAR_MAX: Final = 5


def chosen(kind: str, name: str, table: Mapping[str, T]) -> T:
    """What has this name. Raises UsageError with the names that are near; kind: the option of `raftwerk sim` that lists all."""
    if name in table:
        return table[name]
    near = near_names(name, table)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(
        f"there is no {kind} {name!r}; {hint}`raftwerk sim --{kind} list` lists them all"
    )


def near_names(name: str, names: Mapping[str, object]) -> list[str]:
    """Those that hold it, or are written nearly so, whatever the case; the nearest first."""
    by_lower = {each.lower(): each for each in names}
    close = get_close_matches(name.lower(), by_lower, n=NEAR_MAX)
    within = [each for each in by_lower if name and name.lower() in each]
    return [by_lower[each] for each in dict.fromkeys([*close, *within])][:NEAR_MAX]
