"""Answers without what cannot be the same on two clusters: numbers of members, terms, sizes, orders that mean nothing."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from raftwerk.conformance.names import LEASES, REVISIONS, Names
from raftwerk.conformance.plain import short

SET: Final = "set"
"""In place of a value that is there, whatever it is."""
TOP: Final = ""
OPAQUE: Final[Mapping[str, frozenset[str]]] = {
    "header": frozenset(("cluster_id", "member_id", "raft_term")),
    "members": frozenset(("ID", "name", "peerURLs", "clientURLs")),
    TOP: frozenset(
        (
            "version",
            "leader",
            "raftTerm",
            "raftIndex",
            "raftAppliedIndex",
            "dbSize",
            "dbSizeInUse",
            "hash",
            "token",
            "blob",
            "remaining_bytes",
            "etcdserver",
            "authRevision",
        )
    ),
}
"""By the field that they are in. The leader of an election is a message: not meant here."""
SORTED: Final = frozenset(("keys", "leases", "members"))
"""Lists whose order etcd leaves open. Of leases and members only the kinds are told: a cluster has others."""
IN_BASE64: Final = frozenset(("key", "range_end", "value", "name", "keys"))
"""Fields of a JSON answer that stand for bytes."""
SLOW_S: Final = 5
"""Of a lease, between its grant and the question how much is left."""
PARSERS_WORDS: Final = (
    "grpc: error unmarshalling request: ",
    "grpc: failed to unmarshal the received message ",
)
"""What comes after them is the words of a protobuf library."""


def normal(answer: Mapping[str, Any], within: str = TOP) -> dict[str, Any]:
    """A response as plain data."""
    result: dict[str, Any] = {}
    for name, value in answer.items():
        if name in OPAQUE.get(within, ()) and not isinstance(value, Mapping):
            result[name] = SET
        elif isinstance(value, Mapping):
            result[name] = _header(value) if name == "header" else normal(value, name)
        elif isinstance(value, list):
            told = _list(name, value)
            if told:
                result[name] = told
        else:
            result[name] = value
    granted, left = result.get("grantedTTL"), result.get("TTL")
    if granted is not None and 0 <= int(granted) - int(left or 0) <= SLOW_S:
        result["TTL"] = "about granted"
    return result


def _header(header: Mapping[str, Any]) -> dict[str, Any]:
    """ids: set, if all are there."""
    told = normal(header, "header")
    if OPAQUE["header"] <= told.keys():
        told = {name: value for name, value in told.items() if name not in OPAQUE["header"]}
        told["ids"] = SET
    return told


def _list(name: str, values: list[Any]) -> list[Any]:
    told = [normal(value, name) if isinstance(value, Mapping) else value for value in values]
    if name == "leases":
        return sorted((one for one in told if str(one["ID"]).startswith("L+")), key=_order)
    if name == "members":
        return sorted({_order(one): one for one in told}.values(), key=_order)
    return sorted(told, key=_order) if name in SORTED else told


def _order(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def named_json(value: Any, names: Names, field: str = TOP) -> Any:
    """A body of the JSON gateway in the names of a case. Numbers are texts there: other ones are left as they are."""
    if isinstance(value, Mapping):
        return {name: named_json(one, names, name) for name, one in value.items()}
    if isinstance(value, list):
        return [named_json(one, names, field) for one in value]
    if not isinstance(value, str):
        return value
    if field in REVISIONS | LEASES and value.removeprefix("-").isdigit():
        return str(names.named(field, int(value)))
    if field in IN_BASE64:
        try:
            return short(names.text_of(field, base64.b64decode(value, validate=True)))
        except ValueError:
            return value
    return value


def normal_text(text: str) -> str:
    """Of an error."""
    for words in PARSERS_WORDS:
        if text.startswith(words):
            return f"{words}..."
    return text
