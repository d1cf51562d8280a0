"""Keys, revisions and leases: there and back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftwerk.conformance.names import Names

NAMES = Names(b"\xff\xffp/", 1000, 0x1234567890ABCD00)
TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="<"))


@given(TEXTS)
def test_key_goes_there_and_back(text: str) -> None:
    assert NAMES.text_of("key", NAMES.bytes_of("key", text)) == text


@pytest.mark.parametrize("text", ["", "\0"])
def test_key_that_means_something_else_has_no_prefix(text: str) -> None:
    assert NAMES.bytes_of("range_end", text) == text.encode()


def test_other_bytes_have_no_prefix() -> None:
    assert NAMES.bytes_of("value", "\xff") == b"\xff"
    assert NAMES.text_of("value", b"\xff\xffp/a") == "\xff\xffp/a"


def test_lease_in_a_key_is_in_hex() -> None:
    data = NAMES.bytes_of("key", "n/<L+12>")
    assert data == b"\xff\xffp/n/1234567890abcd0c"
    assert NAMES.text_of("key", data) == "n/<L+12>"


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_numbers_go_there_and_back(revision: int, lease: int) -> None:
    assert NAMES.named("mod_revision", NAMES.number_of(f"R+{revision}")) == f"R+{revision}"
    assert NAMES.named("lease", NAMES.number_of(f"L+{lease}")) == f"L+{lease}"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("revision", 999, 999),
        ("version", 1000, 1000),
        ("ID", 77, 77),
        ("ID", -3, -3),
        ("ID", 2**62, "picked"),
        ("TTL", 2**62, 2**62),
    ],
)
def test_other_numbers_stay(field: str, value: int, told: object) -> None:
    assert NAMES.named(field, value) == told


def test_body_has_keys_in_base64_and_numbers() -> None:
    body = NAMES.body_of('{"key":"<key:n/<L+1>>","revision":"<R+3>","value":"MQ=="}')
    key = base64.b64encode(b"\xff\xffp/n/1234567890abcd01").decode()
    assert body.decode() == f'{{"key":"{key}","revision":"1003","value":"MQ=="}}'
