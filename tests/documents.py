"""Worked examples in documents: lines of hexadecimal bytes, each with its meaning behind a bar."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def text_of(name: str) -> str:
    return (DOCS / name).read_text()


def examples_in(name: str) -> list[bytes]:
    """The bytes of each block of code that has such lines."""
    blocks = re.findall(r"^```\n(.*?)^```$", text_of(name), re.MULTILINE | re.DOTALL)
    return [
        bytes.fromhex("".join(line.split("|")[0] for line in block.splitlines()))
        for block in blocks
        if "|" in block
    ]


def python_in(name: str) -> list[str]:
    """The text of each block of Python."""
    return re.findall(r"^```python\n(.*?)^```$", text_of(name), re.MULTILINE | re.DOTALL)


def shell_in(name: str) -> list[str]:
    """The text of each block of commands."""
    return re.findall(r"^```sh\n(.*?)^```$", text_of(name), re.MULTILINE | re.DOTALL)
