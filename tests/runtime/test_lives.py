"""The lives of the peers: the first one that is met is remembered, and no other one is welcome."""

import json
from pathlib import Path

import pytest

from raftwerk.errors import CorruptData
from raftwerk.runtime.lives import PEERS, Lives


def test_the_first_life_is_remembered_across_a_restart(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    assert lives.meet(2, 0xA)
    assert lives.meet(3, 0xB)
    for each in (lives, Lives(tmp_path)):
        assert each.meet(2, 0xA)
        assert not each.meet(2, 0xB)
        assert each.meet(3, 0xB)


def test_the_file_is_there_before_anybody_is_met(tmp_path: Path) -> None:
    Lives(tmp_path).begin()
    assert json.loads((tmp_path / PEERS).read_bytes()) == {}
    Lives(tmp_path).meet(2, 0xA)
    Lives(tmp_path).begin()
    assert json.loads((tmp_path / PEERS).read_bytes()) == {"2": "a"}


def test_it_is_on_the_disk_before_it_is_welcome(tmp_path: Path) -> None:
    (tmp_path / f"{PEERS}.new").mkdir()
    lives = Lives(tmp_path)
    with pytest.raises(OSError, match="directory"):
        lives.meet(2, 0xA)
    (tmp_path / f"{PEERS}.new").rmdir()
    assert lives.meet(2, 0xB)
    assert json.loads((tmp_path / PEERS).read_bytes()) == {"2": "b"}


def test_an_earlier_version_tells_no_life_and_is_let_in(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    assert lives.meet(2, 0)
    assert lives.meet(2, 0xA)
    assert lives.meet(2, 0)
    assert not (tmp_path / PEERS).read_text().count('"0"')


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": "1"}', '{"1": 1}'])
def test_damage_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / PEERS).write_text(content)
    with pytest.raises(CorruptData, match="peers that were met"):
        Lives(tmp_path)
