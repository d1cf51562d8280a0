"""Constants of one node's core."""

from dataclasses import fields

import pytest

from raftwerk.raft.config import Config


def test_defaults_are_a_valid_configuration() -> None:
    config = Config()
    assert config.heartbeat_interval_ms < config.election_timeout_ms
    none = {field.name for field in fields(Config) if getattr(config, field.name) <= 0}
    assert none == {"tell_commit_after_ms"}


def test_defaults_let_a_message_fit_the_window() -> None:
    """Or the window's bytes would be no bound on what is in flight."""
    config = Config()
    assert config.message_bytes_max <= config.window_bytes_max <= config.uncommitted_bytes_max
    assert config.message_entries_max <= config.uncommitted_entries_max


@pytest.mark.parametrize(
    "wrong",
    [
        {"heartbeat_interval_ms": 0},
        {"heartbeat_interval_ms": 1000, "election_timeout_ms": 1000},
        {"message_entries_max": 0},
        {"message_bytes_max": 0},
        {"window_messages_max": 0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_configuration_that_could_not_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        Config(**wrong)
