"""Results are values."""

import pytest

from raftwerk.kv.results import KvError, PutResult, RangeResult


def test_results_are_equal_by_content_and_cannot_be_changed() -> None:
    result = PutResult(5, b"kv")
    assert result == PutResult(5, b"kv") != PutResult(6, b"kv")
    with pytest.raises(AttributeError):
        result.revision = 7  # type: ignore[misc]


def test_result_names_its_fields() -> None:
    assert (
        str(RangeResult(2, (), False, 0)) == "RangeResult(revision=2, kvs=(), more=False, count=0)"
    )


def test_refusals_say_what_happened() -> None:
    """Sessions keep them on disk: these words are a format."""
    assert {str(error) for error in KvError} == {
        "key not found",
        "lease not found",
        "lease already exists",
        "revision compacted",
        "future revision",
        "command not understood",
        "number was used for another write",
        "alarm: no space",
        "alarm: corrupt",
        "session expired",
        "number outside the window of its session",
        "done before, result not kept",
        "user name is empty",
        "user name already exists",
        "user name not found",
        "role name is empty",
        "role name already exists",
        "role name not found",
        "role is not granted to the user",
        "permission is not granted to the role",
        "root user does not exist",
        "root user does not have root role",
        "invalid auth management",
        "authentication is not enabled",
        "revision of auth store is old",
        "permission denied",
        "invalid auth token",
    }
