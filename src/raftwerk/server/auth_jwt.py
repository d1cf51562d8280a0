"""Tokens that are signed (JSON Web Tokens, RFC 7519) instead of granted: --auth-token=jwt,priv-key=FILE,sign-method=RS256,...

Any member with the key can read them, and so can other programs. One says who its user is and at which auth revision, and
serves until it expires, or until auth changes.

What signs takes 50 ms to load, and is loaded only by members that are to sign.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from raftwerk.errors import UsageError

_METHODS: Final = re.compile(r"(HS|RS|PS|ES)(256|384|512)|EdDSA")
_DURATION: Final = re.compile(r"(\d+)(h|m|s)")
_UNITS_S: Final = {"h": 3600, "m": 60, "s": 1}
_OPTIONS: Final = frozenset(("pub-key", "priv-key", "sign-method", "ttl"))


class SignedTokens:
    """Signs and reads tokens. now_s: seconds since 1970, for other members and programs have to agree."""

    def __init__(
        self,
        method: str,
        verify_key: Any,
        sign_key: Any,
        ttl_s: int,
        now_s: Callable[[], float],
    ) -> None:
        """sign_key None: this member only reads tokens."""
        self._method = method
        self._verify_key = verify_key
        self._sign_key = sign_key
        self._ttl_s = ttl_s
        self._now_s = now_s

    @property
    def can_sign(self) -> bool:
        return self._sign_key is not None

    def sign(self, user: str, auth_revision: int) -> str:
        """A new token."""
        import jwt

        claims = {
            "username": user,
            "revision": auth_revision,
            "exp": int(self._now_s()) + self._ttl_s,
        }
        return jwt.encode(claims, self._sign_key, algorithm=self._method)

    def find(self, token: str) -> tuple[str, int] | None:
        """User and auth revision, or None."""
        import jwt

        try:
            claims = jwt.decode(
                token,
                self._verify_key,
                algorithms=[self._method],
                options={
                    "require": ["exp", "username", "revision"],
                    "verify_exp": False,
                    "verify_aud": False,
                },
            )
            user, revision, expiry = claims["username"], claims["revision"], claims["exp"]
        except jwt.InvalidTokenError:
            return None
        numbers = all(isinstance(one, int | float) for one in (revision, expiry))
        if not isinstance(user, str) or not user or not numbers or expiry <= self._now_s():
            return None
        return user, int(revision)


def signed_tokens(text: str, default_ttl_s: int, now_s: Callable[[], float]) -> SignedTokens | None:
    """What --auth-token asks for; None: simple tokens. Raises UsageError."""
    kind, _, rest = text.partition(",")
    if kind in ("", "simple"):
        return None
    if kind != "jwt":
        raise UsageError(f"--auth-token={text}: {kind!r} is neither simple nor jwt")
    options = dict(part.partition("=")[::2] for part in rest.split(",") if part)
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise UsageError(f"--auth-token: {unknown[0]!r} is no option of jwt")
    method = options.get("sign-method", "")
    if not _METHODS.fullmatch(method):
        raise UsageError(
            f"--auth-token: sign-method {method!r} is none of RS256, ES256, HS256, ..."
        )
    verify_key, sign_key = _keys(options, is_shared=method.startswith("HS"))
    tokens = SignedTokens(method, verify_key, sign_key, _ttl_s(options, default_ttl_s), now_s)
    _try(tokens, method)
    return tokens


def _ttl_s(options: Mapping[str, str], default_s: int) -> int:
    text = options.get("ttl")
    if text is None:
        return default_s
    parts = _DURATION.findall(text)
    ttl_s = sum(int(number) * _UNITS_S[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != text or ttl_s <= 0:
        raise UsageError(f"--auth-token: ttl {text!r} is not a duration like 10m or 1h30m")
    return ttl_s


def _keys(options: Mapping[str, str], *, is_shared: bool) -> tuple[Any, Any]:
    """(to read tokens, to sign them or None)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    private = _content(options, "priv-key")
    if is_shared:
        if not private:
            raise UsageError("--auth-token: priv-key is missing: the file with the shared secret")
        return private, private
    public = _content(options, "pub-key")
    if not (private or public):
        raise UsageError("--auth-token: priv-key or pub-key is missing")
    try:
        sign_key = serialization.load_pem_private_key(private, None) if private else None
        if public:
            return serialization.load_pem_public_key(public), sign_key
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"--auth-token: a key cannot be read: {error}") from error
    assert sign_key is not None
    return sign_key.public_key(), sign_key


def _content(options: Mapping[str, str], name: str) -> bytes:
    path = options.get(name)
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--auth-token: {name} {path}: {error.strerror or error}") from error


def _try(tokens: SignedTokens, method: str) -> None:
    """Find out now, and not at the first log-in, that keys do not fit."""
    import jwt

    if not tokens.can_sign:
        return
    try:
        is_read = tokens.find(tokens.sign("nobody", 1)) is not None
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"--auth-token: the key is none for {method}: {error}") from error
    if not is_read:
        raise UsageError("--auth-token: pub-key does not belong to priv-key")
