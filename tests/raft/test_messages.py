"""The messages of the protocol."""

from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from raftwerk.raft import messages
from raftwerk.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    Message,
    PreVote,
    RequestVote,
    RequestVoteReply,
)

KINDS = get_args(Message)


def names(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def test_union_holds_every_message_of_the_module() -> None:
    """A message left out of it would be decoded, and then dropped."""
    defined = [
        kind
        for kind in vars(messages).values()
        if getattr(kind, "__module__", "") == messages.__name__
    ]
    assert {kind for kind in defined if isinstance(kind, type)} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_message_carries_the_senders_term(kind: type) -> None:
    """F2.ALL.2 looks at the term of any RPC request or response."""
    assert names(kind)[0] == "term"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_messages_are_values(kind: type) -> None:
    """One may be queued on several links: nobody changes it."""
    message = kind(*[0 for field in fields(kind)])
    with pytest.raises(FrozenInstanceError):
        message.term = 1
    assert message == kind(*[0 for field in fields(kind)])


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (RequestVote, "term candidate_id last_log_index last_log_term"),
        (RequestVoteReply, "term vote_granted"),
        (AppendEntries, "term leader_id prev_log_index prev_log_term entries leader_commit"),
        (AppendEntriesReply, "term success"),
        (InstallSnapshot, "term leader_id last_included_index last_included_term"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_arguments_have_the_names_and_the_order_of_the_paper(kind: type, arguments: str) -> None:
    expected = arguments.split()
    assert names(kind)[: len(expected)] == expected


def test_pre_vote_names_the_term_it_asks_about_apart_from_its_own() -> None:
    """Another meaning has another name: `term` is the sender's, in every message."""
    assert names(PreVote)[:2] == ["term", "next_term"]


def test_vote_request_is_an_ordinary_one_unless_it_says_otherwise() -> None:
    assert not RequestVote(1, 1, 0, 0).is_transfer
