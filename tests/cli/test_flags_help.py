"""The page that `raftwerk serve --help` prints."""

import pytest

from raftwerk.cli.flags import FLAGS, Flag, parse
from raftwerk.cli.flags_help import default_text, help_text
from tests.cli.test_flags import settings_of


def lines_of(name: str) -> list[str]:
    return [line for line in help_text().splitlines() if line.startswith(f"  --{name} ")]


def test_every_flag_that_works_has_its_line() -> None:
    assert [flag.name for flag in FLAGS if len(lines_of(flag.name)) != 1] == []


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_default_is_what_it_is_without_the_flag(flag: Flag) -> None:
    """In the form in which it could be given."""
    text = default_text(flag)
    if text:
        assert parse([f"--{flag.name}={text}"], {}) == parse([], {})
        assert lines_of(flag.name)[0].endswith(f" [{text}]")


def test_only_switches_files_and_bounds_that_there_need_not_be_have_no_default() -> None:
    without = {flag.name for flag in FLAGS if not default_text(flag) and not flag.is_switch}
    assert {name for name in without if not name.endswith("-file")} == {
        "listen-metrics-urls",
        "tls-max-version",
    }
    assert not any(getattr(settings_of().client_tls, name) for name in ("cert_file", "key_file"))
