"""What can be asked for."""

import pytest

from raftwerk.errors import UsageError
from raftwerk.sim.explore.bounds import Bounds


def test_logs_are_typed_in_as_the_paper_prints_them() -> None:
    bounds = Bounds(terms=4, start="1 2 / 1 / 1 3")
    assert bounds.start_logs == [(1, 2), (1,), (1, 3)]
    assert bounds.start_term == 3
    assert Bounds().start_logs == [(), (), ()]
    assert Bounds(terms=3, start="1 2 / 2 / 1", committed=1).start_committed == (1,)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"nodes": 0}, "can be 1 to 5"),
        ({"terms": 0}, "at least 1"),
        ({"crashes": -1}, "not less than 0"),
        ({"start": "1 / 1"}, "logs of 2 nodes"),
        ({"start": "1 / x / 1"}, "not a list of terms"),
        ({"start": "2 1 / 1 / 1"}, "terms fall"),
        ({"start": "0 / 1 / 1"}, "terms begin with 1"),
        ({"committed": -1}, "-1 entries cannot be committed"),
        ({"terms": 3, "start": "1 / 1 2 / 2", "committed": 2}, "not on a majority"),
        ({"start": "1 / 1 / 1", "committed": 2}, "not on a majority"),
        ({"terms": 1, "start": "1 / 1 / 1"}, "no election beyond term 1"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Bounds(**wrong)  # type: ignore[arg-type]
