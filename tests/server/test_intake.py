"""What comes in one turn of the loop is taken in for so long; the rest waits its turn."""

from raftwerk.server.intake import TURN_S, Intake
from tests.server.fakes import FakeLoop

PIECE_S = 1.001 * TURN_S / 4


class Source:
    """A connection with some pieces, each of which takes a quarter of a turn."""

    def __init__(self, name: str, pieces: int, loop: FakeLoop, taken: list[str]) -> None:
        self.name, self.pieces, self.taken = name, pieces, taken
        self.loop = loop

    def take_in(self) -> bool:
        self.loop.now_s += PIECE_S
        self.taken.append(self.name)
        self.pieces -= 1
        return self.pieces > 0


def test_turn_has_so_much_time_and_the_next_one_has_it_again() -> None:
    loop = FakeLoop()
    intake = Intake(loop, loop.time)
    for _ in range(3):
        pieces = 0
        while intake.has_time:
            loop.now_s += PIECE_S
            pieces += 1
        assert pieces == 4
        loop.turn()


def test_those_who_wait_get_a_piece_each_in_turn() -> None:
    loop = FakeLoop()
    intake = Intake(loop, loop.time)
    taken: list[str] = []
    assert intake.has_time
    for name in "abc":
        intake.wait(Source(name, 3, loop, taken))
    turns = []
    while loop.turn():
        turns.append("".join(taken))
        taken.clear()
    assert turns == ["abca", "bcab", "c", ""]


def test_nobody_overtakes_who_waits() -> None:
    loop = FakeLoop()
    intake = Intake(loop, loop.time)
    assert intake.has_time
    intake.wait(Source("a", 6, loop, []))
    loop.turn()
    loop.now_s += TURN_S
    assert not intake.has_time
    loop.turn()
    assert intake.has_time, "nobody waits any more, and this turn has time"


def test_idle_intake_turns_no_loop() -> None:
    loop = FakeLoop()
    assert Intake(loop, loop.time).has_time
    loop.settle()
    assert loop.turns == 1
