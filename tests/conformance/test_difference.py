"""The first difference, in words that say where it is."""

import pytest

from raftwerk.conformance.difference import difference, difference_of_answers
from raftwerk.conformance.steps import Also, Await, Fence, Hear, Http, call, setup


@pytest.mark.parametrize(
    ("expected", "got", "words"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, "a: 1 expected, 2 came"),
        ({"a": 1}, {"a": "1"}, 'a: 1 expected, "1" came'),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b[1]: 2 expected, 3 came"),
        ({"a": 1}, {}, "a: 1 expected, nothing came"),
        ({}, {"a": 1}, "a: nothing expected, 1 came"),
        ({"a": [1]}, {"a": [1, 2]}, "a: 1 expected, 2 came"),
        ({"a": [1]}, {"a": {}}, "a: [1] expected, {} came"),
        ({"a": "x" * 500}, {"a": ""}, f'a: "{"x" * 159}... expected, "" came'),
    ],
)
def test_difference_is_told(expected: object, got: object, words: str | None) -> None:
    assert difference(expected, got) == words


STEPS = (
    setup("KV.Put", key="a"),
    call("KV.Range", key="a"),
    Hear(1),
    Also(Await("lock"), "a reason", {"code": "UNKNOWN"}),
    Http("GET", "/health"),
    Fence(),
)
GOOD = [{"reply": 1}, {"heard": []}, {"code": "OK"}, {"status": 200}, {"heard": []}]


@pytest.mark.parametrize(
    ("at", "answer", "words"),
    [
        (0, {"reply": 2}, 'answer 1, KV.Range {"key": "a"}: reply: 1 expected, 2 came'),
        (1, {"heard": [1]}, "answer 2, Hear on the stream: heard: 0 expected, 1 came"),
        (2, {"code": "UNKNOWN"}, None),
        (
            2,
            {"code": "OK", "text": ""},
            'answer 3, the answer to lock: text: nothing expected, "" came',
        ),
        (3, {"status": 404}, "answer 4, GET /health: status: 200 expected, 404 came"),
        (4, {"heard": [1]}, "answer 5, Fence on the stream: heard: 0 expected, 1 came"),
    ],
)
def test_step_of_the_difference_is_told(
    at: int, answer: dict[str, object], words: str | None
) -> None:
    got = [*GOOD[:at], answer, *GOOD[at + 1 :]]
    assert difference_of_answers(STEPS, GOOD, GOOD) is None
    assert difference_of_answers(STEPS, GOOD, got) == words


def test_missing_answer_is_a_difference() -> None:
    assert difference_of_answers(STEPS, GOOD, GOOD[:-1]) == "5 answers expected, 4 came"
