"""The first moments of the process."""

import signal
from pathlib import Path

import pytest

from tests.cli.commands import started

SLOW_MODULE = """
import signal
print("loading", flush=True)
signal.pause()
"""


@pytest.mark.parametrize(("command", "needs"), [("serve", "uvloop"), ("put", "typer")])
def test_interrupt_while_it_is_being_loaded_ends_it_without_a_word(
    tmp_path: Path, command: str, needs: str
) -> None:
    """Nothing of it has begun: no traceback of imports, no folder. A shell tells such an end as 130."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / f"{needs}.py").write_text(SLOW_MODULE)
    folder = tmp_path / "folder"
    folder.mkdir()
    with started(command, folder=folder, PYTHONPATH=str(modules)) as process:
        process.wait_for("loading")
        assert process.stop(signal.SIGINT) == -signal.SIGINT
    assert process.lines == ["loading"]
    assert list(folder.iterdir()) == []
