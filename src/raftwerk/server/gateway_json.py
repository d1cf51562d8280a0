"""Messages as JSON, the way grpc-gateway writes and reads them for etcd.

Bytes are base64, 64-bit integers are strings, names are those of the .proto files (or their camelCase, when read), what is
zero is left out, unknown names are passed over. Base64 is read strictly: a key that somebody forgot to encode is an error
and not another key.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from reprlib import repr as shown  # cut, however large the value is
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from raftwerk.kv.rows import read_varint

PIECE_BYTES: Final = 16 * 1024
_LENGTH_DELIMITED: Final = 2
DEPTH_MAX: Final = 100
"""Messages within messages."""
PARTS_MAX: Final = 20_000
"""In one request. Python's reader holds up everybody until it is through: ten milliseconds, at most."""
DIGITS_MAX: Final = 30
SHOWN_CHARS: Final = 100
"""Of a value that cannot be read, in the text that says so."""

_LONG: Final = frozenset(
    (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)  # JSON numbers are doubles
)
_INTEGERS: Final = _LONG | {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32}


class BadJson(ValueError):
    """The request cannot be read; the text goes to the client."""


def encode(message: Message) -> str:
    """One line."""
    return _dumps(to_object(message))


def encode_in_pieces(message_type: type[Message], data: bytes) -> Iterator[str]:
    """The same for a large message, still serialized, with its fields in order: about a millisecond of work for each piece."""
    opened = ""
    comma = "{"
    for part in _slices(data):
        for field, value in message_type.FromString(part).ListFields():
            items = value if field.is_repeated else (value,)
            text = ",".join(_dumps(_plain(field, item)) for item in items)
            if field.is_repeated and field.name == opened:
                yield f",{text}"
                continue
            end = "]" if opened else ""
            opened = field.name if field.is_repeated else ""
            yield f'{end}{comma}"{field.name}":{"[" if opened else ""}{text}'
            comma = ","
    yield ("]" if opened else "") + ("{}" if comma == "{" else "}")


def _slices(data: bytes) -> Iterator[bytes]:
    """A serialized message, cut between its fields."""
    start = position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        size, position = read_varint(
            data, position
        )  # or the number itself: the API has no other kinds of fields
        if tag & 7 == _LENGTH_DELIMITED:
            position += size
        if position - start >= PIECE_BYTES:
            yield data[start:position]
            start = position
    if start < position:
        yield data[start:position]


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def to_object(message: Message) -> dict[str, Any]:
    """What json.dumps takes."""
    return {
        field.name: [_plain(field, item) for item in value]
        if field.is_repeated
        else _plain(field, value)
        for field, value in message.ListFields()
    }


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return to_object(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return str(value) if field.cpp_type in _LONG else value


def count_parts(text: bytes) -> int:
    """What reading it takes, and not its length: the objects, lists, and values in them."""
    return text.count(b",") + text.count(b"{") + text.count(b"[")


def decode(message_type: type[Message], text: bytes, parts_max: int = PARTS_MAX) -> Message:
    """The message that a JSON object stands for; nothing at all stands for an empty one. Raises BadJson."""
    if count_parts(text) > parts_max:
        raise BadJson(f"the request has more than {parts_max} parts")
    try:
        value = json.loads(text, parse_int=_whole_number) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise BadJson(f"invalid JSON: {error}") from error
    message = message_type()
    _fill(message, value, DEPTH_MAX)
    return message


def _whole_number(text: str) -> int:
    """The time that long ones take grows with the square of their length; none of the API is as long."""
    if len(text) > DIGITS_MAX:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _fill(message: Message, value: Any, depth: int) -> None:
    descriptor = cast("Descriptor", message.DESCRIPTOR)
    if not isinstance(value, dict):
        raise BadJson(f"{descriptor.full_name} is a JSON object")
    if not depth:
        raise BadJson("the message is too deep")
    fields = _fields(descriptor)
    for name, item in value.items():
        field = fields.get(name)
        if field is None or item is None:
            continue
        if field.is_repeated:
            _extend(getattr(message, field.name), field, item, depth)
        elif field.message_type is not None:
            part = getattr(message, field.name)
            part.SetInParent()
            _fill(part, item, depth - 1)
        else:
            _assign(partial(setattr, message, field.name), field, item)


def _extend(values: Any, field: FieldDescriptor, items: Any, depth: int) -> None:
    if not isinstance(items, list):
        raise BadJson(f"{field.full_name} is a JSON list")
    for item in items:
        if field.message_type is not None:
            _fill(values.add(), item, depth - 1)
        else:
            _assign(values.append, field, item)


def _assign(assign: Callable[[Any], None], field: FieldDescriptor, item: Any) -> None:
    try:
        assign(_scalar(field, item))
    except (ValueError, TypeError) as error:  # out of range too: protobuf looks after that
        raise BadJson(f"{field.full_name}: {str(error)[:SHOWN_CHARS]}") from error


def _fields(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """By both names."""
    found = _FIELDS.get(descriptor.full_name)
    if found is None:
        fields = descriptor.fields
        found = {field.json_name: field for field in fields}
        found |= {field.name: field for field in fields}
        _FIELDS[descriptor.full_name] = found
    return found


_FIELDS: Final[dict[str, dict[str, FieldDescriptor]]] = {}


def _scalar(field: FieldDescriptor, item: Any) -> Any:
    if field.enum_type is not None:
        return _enum(field.enum_type, item)
    if field.cpp_type in _INTEGERS:
        return _integer(item)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(item)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if not isinstance(item, bool):
            raise BadJson(f"{shown(item)} is neither true nor false")
    elif not isinstance(item, str):
        raise BadJson(f"{shown(item)} is not a string")
    return item


def _integer(item: Any) -> int:
    if isinstance(item, int) and not isinstance(item, bool):
        return item
    if isinstance(item, str) and re.fullmatch(r"-?[0-9]{1,20}", item):
        return int(item)
    raise BadJson(f"{shown(item)} is not an integer")


def _enum(enum: EnumDescriptor, item: Any) -> int:
    if isinstance(item, str):
        known = enum.values_by_name.get(item)
        if known is None:
            raise BadJson(f'unknown value "{item[:SHOWN_CHARS]}" for enum {enum.full_name}')
        return int(known.number)
    return _integer(item)


def _bytes(item: Any) -> bytes:
    if not isinstance(item, str):
        raise BadJson(f"{shown(item)} is not a string of base64")
    try:
        data = item.replace("\n", "").replace("\r", "").encode("ascii")
        return binascii.a2b_base64(data, strict_mode=True)
    except (binascii.Error, UnicodeError) as error:
        raise BadJson(f"illegal base64 data: {error}") from error


_MARKS: Final = re.compile(rb'"|[{\[]+|[}\]]+')
_IN_STRING: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)
"""To the end of a string, or as far as it has come: but for a backslash, which goes together with what it escapes."""


class JsonSplitter:
    """Cuts a stream of JSON objects, however it comes in pieces. Each byte is looked at once."""

    def __init__(self, bytes_max: int) -> None:
        """bytes_max: of one object."""
        self._bytes_max = bytes_max
        self._held = bytearray()
        self._looked_at = 0
        self._depth = 0
        self._is_in_string = False

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that are complete now. Raises BadJson."""
        held = self._held
        held += data
        found = []
        start = 0
        position = self._looked_at
        while position < len(held):
            if self._is_in_string:
                part = _IN_STRING.match(held, position)
                assert part is not None, "nothing at all is a part too"
                position = part.end()
                if not part[1]:
                    break
                self._is_in_string = False
            mark = _MARKS.search(held, position)
            if mark is None:
                position = len(held)
                break
            position = mark.end()
            run = mark[0]
            if run == b'"':
                self._is_in_string = True
            elif run[0] in b"{[":
                self._depth += len(run)
            elif len(run) < self._depth:
                self._depth -= len(run)
            else:  # its first object ends within the run
                position = mark.start() + max(1, self._depth)
                found.append(bytes(held[start:position]))
                start, self._depth = position, 0
        del held[:start]
        self._looked_at = position - start
        if len(held) > self._bytes_max:
            raise BadJson(f"a request is larger than {self._bytes_max} bytes")
        return found

    def rest(self) -> bytes:
        """What is left at the end of the stream, if it is more than white space."""
        return bytes(self._held).strip()
