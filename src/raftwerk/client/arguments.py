"""What callers pass wrongly, told as what it is: which argument, and what it is meant to be."""

import reprlib
from typing import Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from raftwerk.errors import UsageError

LEASE_ID: Final = "the id of a lease, as lease.id"
_KINDS: Final = {
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BOOL: "True or False",
}
_MEMBER: Final = ("member_id", "the id of a member, as member.ID")
PEER_URLS: Final = "a list of texts"
_NAME: Final = ("name", "text")
_MEANT: Final = {
    "lease": ("lease", LEASE_ID),
    "ID": ("lease_id", LEASE_ID),
    "TTL": ("ttl_s", "a whole number of seconds"),
    "MemberRemoveRequest.ID": _MEMBER,
    "MemberUpdateRequest.ID": _MEMBER,
    "MemberPromoteRequest.ID": _MEMBER,
    "MoveLeaderRequest.targetID": _MEMBER,
    "peerURLs": ("peer_urls", PEER_URLS),
    "isLearner": ("is_learner", "True or False"),
    "user": _NAME,
    "AuthRoleGetRequest.role": _NAME,
    "AuthRoleDeleteRequest.role": _NAME,
    "AuthRoleRevokePermissionRequest.role": _NAME,
}
"""Names of fields, of any message or of one: that of the argument, and what belongs there."""

_TWO_BYTES_MAX: Final = 0x4000
"""A size that is not less is written in three bytes."""

M = TypeVar("M", bound=Message)


def request(kind: type[M], **fields: object) -> M:
    """The message with these fields. Raises UsageError for one that is None, or of the wrong type."""
    for given in fields.values():
        if given is None:  # protobuf would take it for one that is left out
            raise _misfit(kind, fields)
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise _misfit(kind, fields) from error


def plain_put(key: object, value: object, lease: object) -> bytes | None:
    """The serialized PutRequest of a key and a value, and no lease (0); None: protobuf has to make it, or to refuse it.

    By far the most requests are of this kind, and need none of protobuf's objects then.
    """
    if type(key) is not bytes or type(value) is not bytes or type(lease) is not int or lease:
        return None
    if not 0 < len(key) < _TWO_BYTES_MAX or not 0 < len(value) < _TWO_BYTES_MAX:
        return None
    return b"".join((b"\x0a", _size(len(key)), key, b"\x12", _size(len(value)), value))


def _size(number: int) -> bytes:
    """As protobuf writes one of two bytes at most."""
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80, number >> 7))


def check(name: str, meant: str, given: object, *kinds: type) -> None:
    """Raises UsageError for an argument that is of none of these kinds. meant: what it is to be, for people."""
    if not isinstance(given, kinds):
        raise wrong(name, meant, given)


def wrong(name: str, meant: str, given: object) -> UsageError:
    """To raise for an argument. meant: what it is to be, for people."""
    hint = ": text.encode() makes them" if meant == "bytes" and isinstance(given, str) else ""
    is_plain = given is None or isinstance(given, (bytes, bytearray, str, int, float))
    shown = reprlib.repr(given) if is_plain else f"of type {type(given).__name__}"
    return UsageError(f"{name} is {meant}, not {shown}{hint}")


def _misfit(kind: type[Message], fields: dict[str, object]) -> UsageError:
    """Which of the fields it is."""
    (name, given), *_ = [one for one in fields.items() if not _fits(kind, *one)]
    field = kind.DESCRIPTOR.fields_by_name[name]
    plain = (name, _KINDS.get(field.type, "a whole number of 64 bits"))
    argument, meant = _MEANT.get(f"{kind.DESCRIPTOR.name}.{name}") or _MEANT.get(name, plain)
    return wrong(argument, meant, given)


def _fits(kind: type[Message], name: str, given: object) -> bool:
    if given is None:
        return False
    try:
        kind(**{name: given})
    except (TypeError, ValueError):
        return False
    return True
