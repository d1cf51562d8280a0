"""The cases of `raftwerk.conformance.cases.permissions`, on a real etcd and on raftwerk."""

import pytest

from raftwerk.conformance.cases.permissions import CASES
from raftwerk.conformance.steps import Case
from tests.conformance.target import Target


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.partition("/")[2])
def test_answers_are_those_of_etcd(target: Target, case: Case) -> None:
    """Those that were recorded, on etcd too."""
    target.check(case)
