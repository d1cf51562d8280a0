"""raftwerk txn: a transaction from standard input, as etcdctl writes it: comparisons, an empty line, what is done when they
hold, an empty line, and what is done when not.

    value("lock") = "free"
    version("job") > "0"

    put lock taken
    get job

    get lock
"""

import os
import re
import shlex
from typing import Final

from raftwerk.api.rpc_pb2 import Compare, RequestOp
from raftwerk.cli.ctl_shell import AsJson, Shell, connected, print_json, standard_input, text_of
from raftwerk.client import Client
from raftwerk.client.txn import (
    Operand,
    Response,
    created,
    delete,
    get,
    lease_of,
    modified,
    put,
    value,
    version,
)
from raftwerk.errors import UsageError

_COMPARISON: Final = re.compile(
    r'\s*(\w+)\(("(?:[^"\\]|\\.)*"|\w+)\)\s*(=|!=|<|>)\s*("(?:[^"\\]|\\.)*"|\S+)\s*'
)
_OPERANDS: Final = {
    "value": value,
    "val": value,
    "version": version,
    "ver": version,
    "create": created,
    "c": created,
    "mod": modified,
    "m": modified,
    "lease": lease_of,
}


def parse_comparison(line: str) -> Compare:
    """Raises UsageError."""
    match = _COMPARISON.fullmatch(line)
    if match is None or match[1] not in _OPERANDS:
        raise UsageError(f'{line!r} is no comparison like version("key") > "0"')
    kind, key, operator, text = match.groups()
    try:
        operand = _OPERANDS[kind](os.fsencode(_unquoted(key)))
        other = _unquoted(text)
    except ValueError as error:
        raise UsageError(f"{line!r}: {error}") from error
    if kind in ("value", "val"):
        return _compare(operand, operator, os.fsencode(other))
    try:
        return _compare(operand, operator, int(other, 16 if kind == "lease" else 10))
    except ValueError as error:
        raise UsageError(f"{line!r}: {other!r} is no number of 64 bits") from error


def _unquoted(text: str) -> str:
    return shlex.split(text)[0] if text[:1] == '"' and text != '""' else text.strip('"')


def _compare(operand: Operand, operator: str, other: int | bytes) -> Compare:
    if operator == "=":
        return operand.equals(other)
    if operator == "!=":
        return operand.differs_from(other)
    return operand.is_above(other) if operator == ">" else operand.is_below(other)


def parse_operation(line: str) -> RequestOp:
    """Raises UsageError."""
    try:
        name, *arguments = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line!r}: {error}") from error
    is_prefix = "--prefix" in arguments
    keys = [os.fsencode(one) for one in arguments if one != "--prefix"]
    if name == "put" and len(keys) == 2 and not is_prefix:
        return put(keys[0], keys[1])
    if name == "get" and len(keys) == 1:
        return get(keys[0], prefix=is_prefix)
    if name == "del" and len(keys) == 1:
        return delete(keys[0], prefix=is_prefix)
    raise UsageError(f"{line!r} is none of: put KEY VALUE, get KEY [--prefix], del KEY [--prefix]")


def parse_blocks(text: str) -> list[list[str]]:
    """Comparisons, operations and other operations. Raises UsageError when there is more."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            blocks[-1].append(line)
        else:
            blocks.append([])
    if any(block for block in blocks[3:]):
        raise UsageError("there is a fourth block: comparisons, then, otherwise is all there is")
    return [*blocks, [], []][:3]


@connected
def txn(shell: Shell, as_json: AsJson = False) -> None:
    """A transaction from standard input: comparisons, an empty line, what is done then, an empty line, what else.

    Exit code 1: the comparisons did not hold.
    """
    text = os.fsdecode(standard_input())

    async def action(client: Client) -> int:
        compares, success, failure = parse_blocks(text)
        transaction = client.transaction().when(*map(parse_comparison, compares))
        transaction.then(*map(parse_operation, success))
        transaction.otherwise(*map(parse_operation, failure))
        if as_json:
            response = await client.txn(transaction.request)
            print_json(response)
            return 0 if response.succeeded else 1
        result = await transaction.commit()
        print("SUCCESS" if result.succeeded else "FAILURE")
        for one in result.responses:
            _print_response(one)
        return 0 if result.succeeded else 1

    shell.run(action)


def _print_response(response: Response) -> None:
    print()
    kind = type(response).__name__
    if kind == "PutResponse":
        print("OK")
    elif kind == "DeleteRangeResponse":
        print(getattr(response, "deleted", 0))
    else:
        for kv in getattr(response, "kvs", ()):
            print(text_of(kv.key))
            print(text_of(kv.value))
