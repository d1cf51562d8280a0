"""Work in slices."""

from collections.abc import Generator

from raftwerk.kv.steps import Slice, Steps, begun


def counted(slices: int) -> Steps[str]:
    for _ in range(slices):
        yield
    return "done"


def test_what_fits_into_the_first_slice_is_done_at_once() -> None:
    assert begun(counted(0)) == "done"


def test_what_does_not_has_steps_left() -> None:
    steps = begun(counted(2))
    assert isinstance(steps, Generator)
    assert list(steps) == [None], "the first was done"


def test_slice_is_used_up_and_renewed() -> None:
    part = Slice(10)
    part.take(4)
    assert part.left == 6
    part.take(7)
    assert part.left == 0, "what is begun is done to its end"
    part.renew()
    assert part.left == part.rows == 10
