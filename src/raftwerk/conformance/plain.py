"""Messages out of plain data, and back."""

from collections.abc import MutableSequence
from typing import Any, Final, TypeVar, cast
from zlib import crc32

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from raftwerk.conformance.names import Names
from raftwerk.conformance.steps import Plain

LONG_BYTES: Final = 200
"""Longer values are told by their length and checksum."""
M = TypeVar("M", bound=Message)


def message_of(kind: type[M], plain: Plain, names: Names) -> M:
    """Raises ValueError for a field that the message does not have."""
    message = kind()
    _fill(message, plain, names)
    return message


def _fill(message: Message, plain: Plain, names: Names) -> None:
    for name, value in plain.items():
        field = cast("FieldDescriptor | None", message.DESCRIPTOR.fields_by_name.get(name))
        if field is None:
            raise ValueError(f"{message.DESCRIPTOR.full_name} has no field {name}")
        if field.message_type is not None:
            if isinstance(value, list | tuple):
                for one in value:
                    _fill(getattr(message, name).add(), one, names)
            else:
                getattr(message, name).SetInParent()
                _fill(getattr(message, name), value, names)
        elif isinstance(value, list | tuple):
            getattr(message, name).extend(_sent(field, one, names) for one in value)
        else:
            setattr(message, name, _sent(field, value, names))


def _sent(field: FieldDescriptor, value: Any, names: Names) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return names.bytes_of(field.name, value)
    if field.enum_type is not None and isinstance(value, str):
        return field.enum_type.values_by_name[value].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT64:
        return names.number_of(value)
    return value


def plain_of(message: Message, names: Names) -> dict[str, Any]:
    """Without fields that have no value."""
    plain: dict[str, Any] = {}
    for field, value in message.ListFields():
        if isinstance(value, MutableSequence):
            plain[field.name] = [_told(field, one, names) for one in value]
        else:
            plain[field.name] = _told(field, value, names)
    return plain


def _told(field: FieldDescriptor, value: Any, names: Names) -> Any:
    if field.message_type is not None:
        return plain_of(value, names)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return short(names.text_of(field.name, value))
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT64:
        return names.named(field.name, value)
    return value


def short(text: str) -> str:
    """A long text as its length and checksum."""
    if len(text) <= LONG_BYTES:
        return text
    return f"<{len(text)} bytes, CRC {crc32(text.encode('latin-1')):08x}>"
