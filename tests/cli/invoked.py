"""Commands for people, in this process, with a server that is named by the environment."""

from click.testing import Result
from typer.testing import CliRunner

from raftwerk.cli.main import app


def raftwerk(command: str, *, endpoint: str, user: str = "") -> Result:
    environment = {"RAFTWERK_ENDPOINTS": endpoint, "RAFTWERK_USER": user}
    return CliRunner().invoke(app, command.split(), env=environment)


def output_of(command: str, *, endpoint: str, user: str = "") -> str:
    answer = raftwerk(command, endpoint=endpoint, user=user)
    assert (answer.exit_code, answer.stderr) == (0, "")
    return answer.stdout
