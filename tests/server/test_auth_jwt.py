"""Signed tokens."""

from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from raftwerk.errors import UsageError
from raftwerk.server.auth_jwt import SignedTokens, signed_tokens

SECRET = b"a secret of thirty-two bytes, or more"


def write_keys(folder: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{name}.priv").write_bytes(private)
    (folder / f"{name}.pub").write_bytes(public)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of keys, and a shared secret."""
    folder: Path = tmp_path_factory.mktemp("keys")
    write_keys(folder, "a")
    write_keys(folder, "b")
    (folder / "secret").write_bytes(SECRET)
    return folder


def made(folder: Path, options: str, now_s: Callable[[], float] = lambda: 1000.0) -> SignedTokens:
    tokens = signed_tokens(options.replace("@", f"{folder}/"), 300, now_s)
    assert tokens is not None
    return tokens


SHARED = "jwt,priv-key=@secret,sign-method=HS256"


@pytest.mark.parametrize(
    "options",
    [
        SHARED,
        "jwt,priv-key=@a.priv,sign-method=ES256",
        "jwt,pub-key=@a.pub,priv-key=@a.priv,sign-method=ES256,ttl=1h30m",
    ],
    ids=["shared_secret", "private_key", "both_keys"],
)
def test_token_says_who_and_when(folder: Path, options: str) -> None:
    tokens = made(folder, options)
    assert tokens.find(tokens.sign("u", 7)) == ("u", 7)


def test_public_key_reads_and_does_not_sign(folder: Path) -> None:
    reader = made(folder, "jwt,pub-key=@a.pub,sign-method=ES256")
    signer = made(folder, "jwt,priv-key=@a.priv,sign-method=ES256")
    assert reader.find(signer.sign("u", 7)) == ("u", 7)
    assert (reader.can_sign, signer.can_sign) == (False, True)


@pytest.mark.parametrize(
    ("options", "ttl_s"), [(SHARED, 300), (SHARED + ",ttl=10m", 600)], ids=["default", "given"]
)
def test_token_expires(folder: Path, options: str, ttl_s: int) -> None:
    now_s = 1000.0
    tokens = made(folder, options, lambda: now_s)
    token = tokens.sign("u", 7)
    now_s += ttl_s - 1
    assert tokens.find(token) == ("u", 7)
    now_s += 1
    assert tokens.find(token) is None


CLAIMS: dict[str, object] = {"username": "u", "revision": 7, "exp": 2000}


@pytest.mark.parametrize(
    ("claims", "key", "method"),
    [
        pytest.param(CLAIMS, b"another secret that is long enough!!", "HS256", id="other_key"),
        pytest.param(CLAIMS, SECRET, "HS384", id="other_method"),
        pytest.param(CLAIMS, None, "none", id="not_signed"),
        pytest.param(CLAIMS | {"username": ""}, SECRET, "HS256", id="no_name"),
        pytest.param(CLAIMS | {"username": 1}, SECRET, "HS256", id="name_is_a_number"),
        pytest.param(CLAIMS | {"revision": "7"}, SECRET, "HS256", id="revision_is_a_text"),
        pytest.param({"username": "u", "revision": 7}, SECRET, "HS256", id="no_end"),
        pytest.param({"username": "u", "exp": 2000}, SECRET, "HS256", id="no_revision"),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_token_is_not_believed(
    folder: Path, claims: dict[str, object], key: bytes, method: str
) -> None:
    assert made(folder, SHARED).find(jwt.encode(claims, key, algorithm=method)) is None


def test_what_is_no_token_is_not_believed(folder: Path) -> None:
    assert [made(folder, SHARED).find(text) for text in ("", "a.b.c", "é", "." * 9)] == [None] * 4


def test_tokens_are_simple_unless_asked_for() -> None:
    assert signed_tokens("simple", 300, lambda: 0) is None
    assert signed_tokens("", 300, lambda: 0) is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("other", "neither simple nor jwt"),
        ("jwt", "sign-method"),
        ("jwt,sign-method=none,priv-key=@secret", "sign-method 'none'"),
        ("jwt,sign-method=HS256", "priv-key is missing"),
        ("jwt,sign-method=ES256", "priv-key or pub-key is missing"),
        ("jwt,sign-method=ES256,priv-key=@nothing", "No such file"),
        ("jwt,sign-method=ES256,priv-key=@secret", "cannot be read"),
        ("jwt,sign-method=RS256,priv-key=@a.priv", "the key is none for RS256"),
        ("jwt,sign-method=ES256,priv-key=@a.priv,pub-key=@b.pub", "does not belong"),
        (SHARED + ",ttl=x", "ttl 'x'"),
        (SHARED + ",ttl=0s", "ttl '0s'"),
        (SHARED + ",color=red", "'color' is no option"),
    ],
)
def test_options_that_cannot_be_are_refused_at_the_start(
    folder: Path, options: str, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        made(folder, options)
