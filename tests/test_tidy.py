"""The house rules that no linter knows: sizes, names, and tests that mirror the sources."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def only_declares(path: Path) -> bool:
    """Whether the file has nothing to run: a port."""
    classes = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    ]
    bases = [{ast.unparse(base) for base in node.bases} for node in classes]
    return bool(classes) and all(names & {"Protocol", "IntEnum", "StrEnum"} for names in bases)


ALL = python_files("src", "tests", "benchmarks", "tools")
SOURCE_FILES = python_files("src")
TEST_FILES = [path for path in python_files("tests") if path.name.startswith("test_")]


@pytest.mark.parametrize("path", ALL, ids=short)
def test_file_fits_on_a_few_screens(path: Path) -> None:
    """At most 400 lines: a file that grows past it holds more than one idea."""
    count = len(path.read_text().splitlines())
    assert count <= FILE_LINES_MAX, f"{short(path)} has {count} lines"


@pytest.mark.parametrize("path", ALL, ids=short)
def test_functions_are_short(path: Path) -> None:
    """At most 60 lines of code each."""
    source = path.read_text()
    code = code_lines(source)
    for function in functions(ast.parse(source)):
        assert function.end_lineno is not None
        count = len(code & set(range(function.lineno, function.end_lineno + 1)))
        where = f"{short(path)}:{function.lineno} {function.name}"
        assert count <= FUNCTION_CODE_LINES_MAX, f"{where} has {count} lines of code"


@pytest.mark.parametrize("path", ALL, ids=short)
def test_names_say_something(path: Path) -> None:
    """No utils, helpers, common, manager, handle_data."""
    assert path.stem not in BANNED_FILES
    names = {function.name for function in functions(ast.parse(path.read_text()))}
    assert not names & BANNED_NAMES


@pytest.mark.parametrize("path", SOURCE_FILES, ids=short)
def test_source_file_has_its_test_file(path: Path) -> None:
    """tests/ mirrors src/: whoever changes wal/log.py finds tests/wal/test_log.py."""
    if path.name in NOT_MIRRORED or only_declares(path):
        return
    mirror = TESTS / path.relative_to(SOURCES).with_name(f"test_{path.name}")
    assert mirror.exists(), f"{short(path)} has no {short(mirror)}"


@pytest.mark.parametrize("path", SOURCE_FILES, ids=short)
def test_source_file_says_what_it_is_for(path: Path) -> None:
    """Each module begins with a docstring."""
    assert path.name == "__init__.py" or ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", ALL, ids=short)
def test_nothing_is_left_for_later(path: Path) -> None:
    """No notes of unfinished work in place of work."""
    marks = re.compile(
        r"#\s*(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b"
    )
    found = [
        number
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line) or "NotImplemented" + "Error" in line
    ]
    assert not found, f"{short(path)}: lines {found}"


@pytest.mark.parametrize("path", TEST_FILES, ids=short)
def test_tests_wait_for_conditions(path: Path) -> None:
    """No sleeping for a time that happens to be long enough, no patched code, no skipped test."""
    tree = ast.parse(path.read_text())
    for line, name in calls(tree):
        assert name not in ("time.sleep", "mock.patch", "pytest.skip", "monkeypatch.setattr"), (
            f"{short(path)}:{line} calls {name}"
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.sleep":
            assert ast.unparse(node.args[0]) == "0", f"{short(path)}:{node.lineno} sleeps"
    for function in functions(tree):
        decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
        assert not any("mark.skip" in text or "xfail" in text for text in decorators), function.name


@pytest.mark.parametrize("path", TEST_FILES, ids=short)
def test_each_test_can_fail(path: Path) -> None:
    """A test asserts something itself, or calls something of the suite that is named for checking."""
    checks = re.compile(
        r"\bassert\b|raises\(|warns\(|\bcheck|\bexpect|\bverify|\brun_state_machine_as_test"
    )
    for function in functions(ast.parse(path.read_text())):
        if function.name.startswith("test_"):
            assert checks.search(ast.unparse(function)), (
                f"{short(path)}:{function.lineno} {function.name}"
            )


def test_the_size_of_a_function_leaves_out_prose() -> None:
    """The counter itself: docstrings, comments and blank lines are free."""
    source = 'def f():\n    """One\n    two."""\n\n    # three\n    return [\n        1,\n    ]\n'
    assert code_lines(source) == {1, 6, 7, 8}
