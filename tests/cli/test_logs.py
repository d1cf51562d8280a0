"""The log of a server process. In a process of its own: it is set up once, for the whole of it."""

import json
import subprocess
import sys

import pytest

from tests.cli.commands import clean_environment

PROGRAM = """
import logging, structlog
from raftwerk.cli import logs
logs.configure({level!r}, {log_format!r})
log = structlog.get_logger()
log.debug("debug")
log.info("two words", number=1, text="a b", flag=True)
log.warning("warning")
try:
    1 / 0
except ZeroDivisionError as error:
    log.critical("critical", exc_info=error)
logging.getLogger("library").warning("of a library")
logging.getLogger("uvicorn.error").warning("of a client")
logging.getLogger("uvicorn.error").error("of the server")
"""


def lines(level: str, log_format: str = "console") -> list[str]:
    """What goes to standard error; standard output stays empty."""
    program = PROGRAM.format(level=level, log_format=log_format)
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == ""
    return answer.stderr.splitlines()


def test_console_line_is_key_value_with_the_message_first() -> None:
    (line,) = [line for line in lines("info") if "two words" in line]
    timestamp, _, rest = line.partition(" ")
    assert timestamp.startswith("ts=2")
    assert timestamp.endswith("Z")
    assert rest == 'level=info msg="two words" number=1 text="a b" flag=true'


def test_json_line_is_one_object() -> None:
    (line,) = [line for line in lines("info", "json") if "two words" in line]
    entry = json.loads(line)
    assert entry.pop("ts").endswith("Z")
    assert entry == {
        "level": "info",
        "msg": "two words",
        "number": 1,
        "text": "a b",
        "flag": True,
    }


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "critical"]),
        ("info", ["info", "warning", "critical"]),
        ("warn", ["warning", "critical"]),
        ("error", ["critical"]),
        ("panic", ["critical"]),
        ("fatal", ["critical"]),
    ],
)
def test_level_is_the_least_that_is_shown(level: str, shown: list[str]) -> None:
    """The names are etcd's."""
    found = [json.loads(line)["level"] for line in lines(level, "json") if line.startswith("{")]
    assert found == shown


def test_exception_is_within_its_line() -> None:
    """So that each line stays one event."""
    (line,) = [line for line in lines("error", "json") if "critical" in line]
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_warnings_of_libraries_are_shown() -> None:
    assert any("of a library" in line for line in lines("error"))


def test_mistakes_of_http_clients_are_not() -> None:
    """They are answered; there may be any number of them."""
    shown = lines("info")
    assert any("of the server" in line for line in shown)
    assert not any("of a client" in line for line in shown)
