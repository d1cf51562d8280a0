"""A mutant: one function of the production code with a few words of its source replaced.

The code object of the function is exchanged in place, so that it does not matter who has imported it. Nothing of this
stands in the production files; a mutant whose words are no longer found there says so.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType

from raftwerk.errors import UsageError


@dataclass(frozen=True, slots=True)
class Mutant:
    """name: of the defect; where: "module:function" below raftwerk; old, new: source.

    scenario, seed: what catches it; without a scenario, a seed of the swarm.
    """

    name: str
    where: str
    old: str
    new: str
    seed: int = 1
    scenario: str = ""


def function_of(mutant: Mutant) -> FunctionType:
    """The function that the mutant changes. Raises UsageError if it is compiled."""
    module, _, path = mutant.where.partition(":")
    found: object = importlib.import_module(f"raftwerk.{module}")
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    if isinstance(found, property):
        found = found.fget
    elif isinstance(found, staticmethod):
        found = found.__func__
    if not isinstance(found, FunctionType):
        raise UsageError(
            f"mutant {mutant.name!r}: {mutant.where} is compiled, and only plain Python can be changed: install raftwerk "
            "without RAFTWERK_COMPILE"
        )
    return found


def _source_of(mutant: Mutant) -> str:
    """Of the function, found in its file by name."""
    module, _, path = mutant.where.partition(":")
    text = inspect.getsource(importlib.import_module(f"raftwerk.{module}"))
    node: ast.AST = ast.parse(text)
    for name in path.split("."):
        (node,) = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and child.name == name
        ]
    assert isinstance(node, ast.FunctionDef)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = text.splitlines(keepends=True)[first - 1 : node.end_lineno]
    return textwrap.dedent("".join(lines))


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Within: the defect is there. Raises UsageError if the source is not as the mutant expects."""
    function = function_of(mutant)
    source = _source_of(mutant)
    if source.count(mutant.old) != 1:
        raise UsageError(
            f"mutant {mutant.name!r}: {mutant.where} does not hold {mutant.old!r} once"
        )
    namespace: dict[str, object] = {}
    code = compile(source.replace(mutant.old, mutant.new), f"<mutant {mutant.name}>", "exec")
    exec(code, function.__globals__, namespace)
    (changed,) = namespace.values()
    if isinstance(changed, property):
        changed = changed.fget
    elif isinstance(changed, staticmethod):
        changed = changed.__func__
    assert isinstance(changed, FunctionType)
    original = function.__code__
    function.__code__ = changed.__code__
    try:
        yield
    finally:
        function.__code__ = original
