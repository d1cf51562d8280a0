"""What a case is made of: requests as plain data, in the order in which they are put.

Messages are dictionaries by the names of the proto files. A text stands for bytes (one character, one byte), "R+3" for the
third revision after the start of the case, "L+1" for a lease of the case; "<L+1>" in a key is that lease in hex. Keys lie
below a prefix of the run's own, which no case sees; "" and "\\0" stay what they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

Plain = Mapping[str, Any]
Metadata = tuple[tuple[str, str], ...]


class HttpAnswer(NamedTuple):
    """Of HTTP/1.1, as it comes."""

    status: int
    content_type: str
    body: str


class Needs(Enum):
    """What a case does to a cluster beside its own keys and leases."""

    NOTHING = "nothing"
    DISTURBING = "disturbing"
    """It compacts, or raises alarms: others on the cluster notice."""
    ALONE = "alone"
    """It reads or deletes all keys there are: they must be its own."""
    AUTH = "auth"
    """It adds users and roles, and enables auth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """method: like "KV.Put", or a path like "/a/b" with `data`, its bytes. token: kept under that name by a call before."""

    method: str
    fields: Plain = field(default_factory=dict)
    data: bytes | None = None
    metadata: Metadata = ()
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Request):
    """One call and its answer. keep: the name for the token that is answered.

    is_setup: it must succeed, and its answer is no part of the case. until: a field of the answer that must get this value;
    the call is made again until it does.
    """

    keep: str = ""
    is_setup: bool = False
    until: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(Request):
    """A call whose answer is fetched later, by `Await`, or that is given up."""

    name: str


@dataclass(frozen=True, slots=True)
class Await:
    """The answer to a call that was begun."""

    name: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Cancel a call that was begun: it has no answer yet."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Request):
    """Open a stream. With fields, they are its one request, and no other follows."""

    name: str = "stream"


@dataclass(frozen=True, slots=True)
class Say:
    """One more request on a stream."""

    fields: Plain
    name: str = "stream"


@dataclass(frozen=True, slots=True)
class SayBytes:
    """One more request on a stream, whatever it is."""

    data: bytes
    name: str = "stream"


@dataclass(frozen=True, slots=True)
class Hear:
    """So many responses. Those of different watchers are told in the order of their ids."""

    count: int
    name: str = "stream"


@dataclass(frozen=True, slots=True)
class Fence:
    """Whatever a Watch stream tells before a last event that the case does not speak of.

    with_history: and before watchers that began in the past have caught up, which etcd lets them do in rounds.
    """

    name: str = "stream"
    with_history: bool = False


@dataclass(frozen=True, slots=True)
class HalfClose:
    """No more requests on a stream."""

    name: str = "stream"


@dataclass(frozen=True, slots=True)
class End:
    """How a stream ends."""

    name: str = "stream"


@dataclass(frozen=True, slots=True)
class Http:
    """A request of HTTP/1.1. In a body, <key:a> stands for a key in base64, <R+1> and <L+1> for numbers.

    told: what counts of the answer. "code" is that of a JSON body.
    """

    method: str
    path: str
    body: str = ""
    told: tuple[str, ...] = ("status", "type", "body")


@dataclass(frozen=True, slots=True)
class Also:
    """A step to which there is another good answer than etcd's. reason: why raftwerk gives that one."""

    step: "Step"
    reason: str
    answer: Plain


Step = (
    Call
    | Begin
    | Await
    | GiveUp
    | Open
    | Say
    | SayBytes
    | Hear
    | Fence
    | HalfClose
    | End
    | Http
    | Also
)


@dataclass(frozen=True, slots=True)
class Case:
    """name: like "kv/put_prev_kv"."""

    name: str
    steps: tuple[Step, ...]
    needs: Needs = Needs.NOTHING


def call(method: str, /, **fields: Any) -> Call:
    """The commonest step."""
    return Call(method=method, fields=fields)


def setup(method: str, /, **fields: Any) -> Call:
    """What must be there first."""
    return Call(method=method, fields=fields, is_setup=True)


def refused(code: str, text: str) -> Plain:
    """An answer."""
    return {"code": code, "text": text}
