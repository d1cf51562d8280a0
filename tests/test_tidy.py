"""The house rules that no linter knows: sizes, names, and tests that mirror the sources."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "raftwerk"
TESTS = ROOT / "tests"

FILE_LINES_MAX = 400
FUNCTION_CODE_LINES_MAX = 60
BANNED_FILES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
BANNED_NAMES = {"handle_data", "process_data", "do_it", "foo", "bar", "tmp", "data2"}
NOT_MIRRORED = {"__init__.py", "__main__.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(*folders: str) -> list[Path]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if not path.name.endswith("_pb2.py"))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold code: no blank lines, comments or docstrings."""
    lines: set[int] = set()
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
    begins_statement = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            begins_statement = True
        elif token.type not in skipped:
            is_docstring = token.type == tokenize.STRING and begins_statement
            if not is_docstring:
                lines.update(range(token.start[0], token.end[0] + 1))
            begins_statement = False
    return lines


def only_declares(path: Path) -> bool:
    """Whether the file has nothing to run: a port."""
    classes = [node for node in nodes(path) if isinstance(node, ast.ClassDef)]
    bases = [{ast.unparse(base) for base in node.bases} for node in classes]
    return bool(classes) and all(names & {"Protocol", "IntEnum", "StrEnum"} for names in bases)


ALL = python_files("src", "tests", "benchmarks", "tools")
SOURCE_FILES = python_files("src")
TEST_FILES = [path for path in python_files("tests") if path.name.startswith("test_")]


@cache
def nodes(path: Path) -> list[ast.AST]:
    """The module first."""
    return list(ast.walk(ast.parse(path.read_text())))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in nodes(path) if isinstance(node, Function))


def test_files_fit_on_a_few_screens() -> None:
    """At most 400 lines: a file that grows past it holds more than one idea."""
    lines = {short(path): len(path.read_text().splitlines()) for path in ALL}
    assert [(name, count) for name, count in lines.items() if count > FILE_LINES_MAX] == []


def test_functions_are_short() -> None:
    """At most 60 lines of code each."""
    assert [text for path in ALL for text in long_functions(path)] == []


def long_functions(path: Path) -> Iterator[str]:
    code: set[int] = set()
    for function in functions(path):
        assert function.end_lineno is not None
        lines = range(function.lineno, function.end_lineno + 1)
        if len(lines) > FUNCTION_CODE_LINES_MAX:
            code = code or code_lines(path.read_text())
            count = len(code.intersection(lines))
            if count > FUNCTION_CODE_LINES_MAX:
                yield f"{short(path)}:{function.lineno} {function.name} has {count} lines of code"


def test_names_say_something() -> None:
    """No utils, helpers, common, manager, handle_data."""
    assert [short(path) for path in ALL if path.stem in BANNED_FILES] == []
    assert [
        (short(path), function.name)
        for path in ALL
        for function in functions(path)
        if function.name in BANNED_NAMES
    ] == []


def test_source_files_have_their_test_files() -> None:
    """tests/ mirrors src/: whoever changes wal/log.py finds tests/wal/test_log.py."""
    mirrors = {
        short(path): TESTS / path.relative_to(SOURCES).with_name(f"test_{path.name}")
        for path in SOURCE_FILES
        if path.name not in NOT_MIRRORED and not only_declares(path)
    }
    assert [(name, short(mirror)) for name, mirror in mirrors.items() if not mirror.exists()] == []


def test_source_files_say_what_they_are_for() -> None:
    """Each module begins with a docstring."""
    assert [
        short(path)
        for path in SOURCE_FILES
        if path.name != "__init__.py" and not ast.get_docstring(nodes(path)[0])
    ] == []


def test_nothing_is_left_for_later() -> None:
    """No notes of unfinished work in place of work."""
    marks = re.compile(
        r"#\s*(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b"
    )
    assert [
        (short(path), number)
        for path in ALL
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line) or "NotImplemented" + "Error" in line
    ] == []


def test_tests_wait_for_conditions() -> None:
    """No sleeping for a time that happens to be long enough, no patched code, no skipped test."""
    assert [
        (short(path), *found)
        for path in TEST_FILES
        for node in nodes(path)
        for found in shortcuts(node)
    ] == []


def shortcuts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what) of calls and marks that no test has."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name = ast.unparse(node.func)
        waits = name == "asyncio.sleep" and ast.unparse(node.args[0]) != "0"
        if waits or name in ("time.sleep", "mock.patch", "pytest.skip", "monkeypatch.setattr"):
            yield node.lineno, name
    if isinstance(node, Function):
        marks = map(ast.unparse, node.decorator_list)
        yield from ((node.lineno, mark) for mark in marks if "mark.skip" in mark or "xfail" in mark)


def test_each_test_can_fail() -> None:
    """A test asserts something itself, or calls something of the suite that is named for checking."""
    checks = re.compile(r"raises\(|warns\(|\bcheck|\bexpect|\bverify|\brun_state_machine_as_test")
    assert [
        (short(path), function.lineno, function.name)
        for path in TEST_FILES
        for function in functions(path)
        if function.name.startswith("test_")
        and not any(isinstance(node, ast.Assert) for node in ast.walk(function))
        and not checks.search(ast.unparse(function))
    ] == []


def test_the_size_of_a_function_leaves_out_prose() -> None:
    """The counter itself: docstrings, comments and blank lines are free."""
    source = 'def f():\n    """One\n    two."""\n\n    # three\n    return [\n        1,\n    ]\n'
    assert code_lines(source) == {1, 6, 7, 8}


def compiled_files() -> list[Path]:
    """By setup.py."""
    (packages,) = (
        ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "setup.py").read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED"
    )
    return [
        path
        for package, names in packages.items()
        for name in names.split()
        for path in (SOURCES / package).glob(f"{name}.py")
    ]


def waits_within_handler(path: Path) -> list[int]:
    """Lines of awaits and yields within `except`."""
    waits = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith)
    return [
        node.lineno
        for handler in ast.walk(ast.parse(path.read_text()))
        if isinstance(handler, ast.ExceptHandler)
        for node in ast.walk(handler)
        if isinstance(node, waits)
    ]


def test_nothing_compiled_waits_while_it_handles_an_exception() -> None:
    """To mypyc that one is the present one meanwhile: all that others raise holds it, and each the one before, for ever."""
    assert len(compiled_files()) > 50
    found = {
        short(path): lines for path in compiled_files() if (lines := waits_within_handler(path))
    }
    assert found == {}
