"""What a command says while it gets nowhere."""

import asyncio

import pytest

from raftwerk.cli.patience import tell_of_waiting

WAITED = "raftwerk: watch waits, for 0 s now, for a:1, and tries on: nobody leads\n"
GOES_ON = "raftwerk: watch goes on\n"


class Command:
    """One whose troubles come and go."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *, is_quick: bool = False) -> None:
        self.trouble = ""
        self._capsys = capsys
        self._is_quick = is_quick

    async def why(self) -> str:
        if self._is_quick:
            self.trouble = ""
        return "nobody leads"

    async def said_with(self, trouble: str) -> str:
        """In a good many looks."""
        self.trouble = trouble
        for _ in range(20):
            await asyncio.sleep(0)
        said = self._capsys.readouterr()
        assert said.out == ""
        return said.err

    async def said(self, patience_s: float, *troubles: str) -> list[str]:
        telling = tell_of_waiting(
            "watch", "a:1", lambda: self.trouble, self.why, patience_s=patience_s, look_s=0
        )
        task = asyncio.create_task(telling)
        lines = [await self.said_with(trouble) for trouble in troubles]
        task.cancel()
        await asyncio.wait([task])
        return lines


def test_it_is_told_once_and_once_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    said = Command(capsys).said(0, "", "cut off", "no leader", "", "", "no leader")
    assert asyncio.run(said) == ["", WAITED, "", GOES_ON, "", WAITED]


def test_what_is_soon_over_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(Command(capsys).said(3_600, "no leader", "")) == ["", ""]


def test_what_is_over_before_it_is_known_why_is_not_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert asyncio.run(Command(capsys, is_quick=True).said(0, "no leader", "")) == ["", ""]
