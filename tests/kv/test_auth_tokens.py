"""Simple tokens, and their time."""

from raftwerk.kv.auth_tokens import Tokens, digest_of


def tokens_of(*names: str) -> Tokens:
    tokens = Tokens(tokens_max=3, ttl_s=10)
    for name in names:
        tokens.grant(digest_of(name), f"user of {name}")
    return tokens


def test_token_has_its_user() -> None:
    tokens = tokens_of("a", "b")
    assert (tokens.find("a", 0), tokens.find("b", 0)) == ("user of a", "user of b")
    assert tokens.find("c", 0) is None


def test_token_ends_when_it_is_not_used() -> None:
    tokens = tokens_of("a")
    tokens.sweep(100)
    assert tokens.find("a", 110) is None
    assert len(tokens) == 0


def test_token_lives_as_long_as_it_is_used() -> None:
    tokens = tokens_of("a")
    tokens.sweep(0)
    for now_s in (9, 18, 27):
        assert tokens.find("a", now_s) == "user of a"
        tokens.sweep(now_s)
    assert tokens.find("a", 37) is None


def test_sweep_forgets_what_nobody_asks_for() -> None:
    tokens = tokens_of("a", "b")
    tokens.sweep(0)
    tokens.find("b", 5)
    tokens.sweep(10)
    assert len(tokens) == 1
    tokens.sweep(15)
    assert len(tokens) == 0


def test_tokens_of_a_user_end_together() -> None:
    tokens = tokens_of("a", "b")
    tokens.end_user("user of a")
    assert (tokens.find("a", 0), tokens.find("b", 0)) == (None, "user of b")


def test_one_more_drops_the_one_unused_for_longest() -> None:
    tokens = tokens_of("a", "b", "c")
    tokens.find("a", 1)
    tokens.grant(digest_of("d"), "d")
    assert [tokens.find(name, 2) is not None for name in "abcd"] == [True, False, True, True]


def test_token_itself_is_not_kept() -> None:
    assert b"secret" not in digest_of("secret")
    assert len(digest_of("secret")) == 32
