"""How a defect is put into the production code, and taken out again."""

import pytest

from raftwerk.errors import UsageError
from raftwerk.raft import quorum
from raftwerk.raft.membership import Membership
from raftwerk.sim.mutants.mutant import Mutant, applied

ONE_OF_TWO = Mutant(
    "minority", "raft.quorum:_is_majority", "> len(voters) // 2", ">= len(voters) // 2"
)


def test_defect_is_there_within_and_gone_after() -> None:
    two = Membership((1, 2))
    assert not quorum.has_majority(two, {1})
    with applied(ONE_OF_TWO):
        assert quorum.has_majority(two, {1})
    assert not quorum.has_majority(two, {1})


def test_defect_is_gone_after_an_exception_too() -> None:
    with pytest.raises(KeyError), applied(ONE_OF_TWO):
        raise KeyError
    assert not quorum.has_majority(Membership((1, 2)), {1})


def test_source_that_has_changed_is_reported() -> None:
    mutant = Mutant("x", "raft.quorum:_is_majority", "no such words", "")
    with pytest.raises(UsageError, match="does not hold"), applied(mutant):
        pass
