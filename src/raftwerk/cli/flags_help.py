"""What `raftwerk serve --help` prints: every flag with its default, which is that of the settings."""

from pathlib import Path
from typing import Any, Final

from raftwerk.cli.flags import FLAGS, Flag, is_duration
from raftwerk.runtime.addresses import Address
from raftwerk.runtime.settings import Settings

_UNITS_S: Final = {"h": 3600, "m": 60, "s": 1}


def help_text() -> str:
    """The whole page."""
    width = max(len(flag.name) for flag in FLAGS) + 4
    lines = [f"  --{flag.name:<{width}}{flag.help}{_shown(default_text(flag))}" for flag in FLAGS]
    return "\n".join(
        [
            "Run one member. With no flags: a working single node on localhost:2379, data in ./default.raftwerk.",
            "",
            "Every flag can be given as an environment variable too: --data-dir is ETCD_DATA_DIR.",
            "",
            *lines,
        ]
    )


def _shown(text: str) -> str:
    return f" [{text}]" if text else ""


def default_text(flag: Flag) -> str:
    """What could be given with the flag and would change nothing; empty if nothing is meant by leaving it out."""
    value: Any = Settings()
    path = flag.setting.split(".")
    for name in path if hasattr(value, path[0]) else ("client_tls", *path):  # TLS versions: of both
        value = getattr(value, name)
    if is_duration(flag):
        return _duration(value / 1000 if flag.setting.endswith("_ms") else value)
    return _text(value)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else ""
        case float():
            return f"{value:g}"
        case Address():
            return value.url
        case tuple():
            return ",".join(map(_text, value))
        case dict():
            return ",".join(f"{name}={_text(urls)}" for name, urls in value.items())
        case str() | int() | Path():
            return str(value)
    raise AssertionError(f"no text for {value!r}")


def _duration(seconds: float) -> str:
    """As it is given: 600.0 is 10m."""
    unit, size = next((unit, size) for unit, size in _UNITS_S.items() if seconds % size == 0)
    return f"{seconds / size:g}{unit}"
