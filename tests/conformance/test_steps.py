"""Steps are data: the short forms make the same as the long ones."""

import dataclasses

import pytest

from raftwerk.conformance.steps import Call, call, refused, setup


def test_call_is_a_request_with_an_answer() -> None:
    assert call("KV.Put", key="a") == Call(method="KV.Put", fields={"key": "a"})
    assert setup("KV.Put", key="a") == Call(method="KV.Put", fields={"key": "a"}, is_setup=True)


def test_step_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        call("KV.Put").method = "KV.Range"  # type: ignore[misc]


def test_refusal_has_a_code_and_a_text() -> None:
    assert refused("NOT_FOUND", "none") == {"code": "NOT_FOUND", "text": "none"}
