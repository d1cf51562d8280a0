"""Durations as Go writes them."""

import pytest

from raftwerk.cli.go_duration import milliseconds, seconds
from raftwerk.errors import UsageError


def test_durations() -> None:
    assert (milliseconds("1m30.5s"), milliseconds("2h"), milliseconds("1500us")) == (
        90_500,
        7_200_000,
        2,
    )
    assert (seconds("250ms"), seconds("0"), seconds("1m.5s")) == (0.25, 0.0, 60.5)


@pytest.mark.parametrize("text", ["250us", "250\u00b5s", "250\u03bcs", "250000ns"])
def test_durations_below_a_millisecond(text: str) -> None:
    assert seconds(text) == pytest.approx(0.00025)


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "-1s", "1s ", ".s"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration like 10m"):
        seconds(text)
