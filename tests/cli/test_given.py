"""Options that are given."""

import typer
from typer.testing import CliRunner

from raftwerk.cli.given import options_given


def test_only_what_stands_on_the_command_line_is_given() -> None:
    app = typer.Typer()

    @app.command()
    def command(context: typer.Context, seed: int = 1, jobs: int = 2, every: bool = False) -> None:
        typer.echo(f"{options_given(context)} {seed} {jobs} {every}")

    answer = CliRunner().invoke(app, ["--seed", "1", "--every"])
    assert answer.output == "['--seed', '--every'] 1 2 True\n"
