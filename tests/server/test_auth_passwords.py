"""Passwords beside the loop."""

from collections.abc import Callable
from typing import Any

import pytest

from raftwerk.server.auth_passwords import WAITING_MAX, Passwords


class FakeBackground:
    """Does jobs when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []
        self.is_closed = False

    def run(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.jobs.append((job, done))

    def work(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job, done in jobs:
            done(job())

    def close(self) -> None:
        self.is_closed = True


class Rig:
    """Passwords, and what came back."""

    def __init__(self) -> None:
        self.background = FakeBackground()
        self.begun = 0
        self.passwords = Passwords(4, self._begin)
        self.hashes: list[bytes] = []
        self.answers: list[bool] = []

    def _begin(self) -> FakeBackground:
        self.begun += 1
        return self.background

    def hash(self, password: str) -> bytes:
        self.passwords.hash(password, self.hashes.append)
        self.background.work()
        return self.hashes[-1]

    def check(self, password: str, password_hash: bytes | None) -> bool:
        self.passwords.check(password, password_hash, self.answers.append)
        self.background.work()
        return self.answers[-1]


def test_hash_is_that_of_the_password() -> None:
    rig = Rig()
    kept = rig.hash("secret")
    assert kept.startswith(b"$2b$04$")
    assert rig.check("secret", kept)
    assert not rig.check("other", kept)
    assert kept != rig.hash("secret")


@pytest.mark.parametrize("password", ["", "a" * 72, "ä" * 36], ids=["empty", "longest", "utf8"])
def test_hash_of_an_odd_password(password: str) -> None:
    rig = Rig()
    assert rig.check(password, rig.hash(password))


@pytest.mark.parametrize("password", ["", "pw", "a" * 1000])
def test_nobody_has_no_password(password: str) -> None:
    """And it is compared all the same: the time tells no names."""
    rig = Rig()
    assert not rig.check(password, None)


def test_thread_begins_with_the_first_password() -> None:
    rig = Rig()
    assert rig.begun == 0
    rig.hash("a")
    rig.hash("b")
    assert rig.begun == 1


def test_what_waits_is_bounded() -> None:
    rig = Rig()
    for _ in range(WAITING_MAX - 1):
        rig.passwords.check("", b"hash", rig.answers.append)
    assert not rig.passwords.is_busy
    rig.passwords.check("", b"hash", rig.answers.append)
    assert rig.passwords.is_busy


def test_stop_drops_what_waits() -> None:
    rig = Rig()
    rig.passwords.hash("a", rig.hashes.append)
    rig.passwords.stop()
    rig.background.work()
    assert rig.background.is_closed
    assert rig.hashes == []
    assert rig.passwords.is_busy
