"""docs/client.md: every example runs as it stands there, on raftwerk and on etcd."""

import ast
import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from raftwerk.cli.cluster import Member

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(
    r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize(
    "example", [code for _, code in EXAMPLES], ids=[name for name, _ in EXAMPLES]
)
def test_example_runs(member: Member, example: str) -> None:
    source = example.replace("127.0.0.1:2379", f"127.0.0.1:{member.client_port}")
    code = compile(source, "docs/client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result: Coroutine[Any, Any, None] | None = FunctionType(code, {"__name__": "example"})()

    async def main() -> None:
        if result is not None:
            async with asyncio.timeout(30):
                await result

    asyncio.run(main())
    assert source != example, "it names the endpoint that is replaced"


def test_every_example_is_found() -> None:
    assert len(EXAMPLES) == TEXT.count("```python")
