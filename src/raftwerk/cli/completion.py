"""What shells complete beyond commands and options: values of a fixed choice, and the flags of `raftwerk serve`."""

import inspect
from collections.abc import Callable, Iterable, MutableMapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

if TYPE_CHECKING:
    from raftwerk.cli.flags import Flag


def one_of(names: Iterable[str]) -> Callable[[str], list[str]]:
    """For the `autocompletion` of an option or argument."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def part_values(environment: MutableMapping[str, str]) -> None:
    """Of options in the words that bash wants to have completed: --flag=va is three of them there, and becomes --flag va."""
    words = environment.get("COMP_WORDS", "").split("\n")
    position = environment.get("COMP_CWORD", "")
    if not position.isdecimal():
        return  # bash asks for nothing
    at = int(position)
    signs = [
        number
        for number, (before, word) in enumerate(pairwise(words), 1)
        if word == "=" and before.startswith("-")
    ]
    for number in reversed(signs):
        if number == at:
            words[number] = "''"  # nothing of the value is there yet
        else:
            del words[number]
    environment["COMP_WORDS"] = "\n".join(words)
    environment["COMP_CWORD"] = str(at - sum(number < at for number in signs))


def keep_flags() -> None:
    """Before values in the words that zsh and fish want to have completed: --flag=va is one word there, and is replaced whole."""
    from typer._completion_classes import FishComplete, ZshComplete  # typer's own: not for commands

    for shell in (FishComplete, ZshComplete):
        shell.get_completions = _whole_words  # type: ignore[method-assign]


def _whole_words(self: Any, args: list[str], incomplete: str) -> Any:
    found = super(type(self), self).get_completions(args, incomplete)
    flag, sign, _ = incomplete.partition("=")
    if sign and flag.startswith("-"):
        for one in found:
            one.value = flag + sign + one.value
    return found


class ServeCommand(TyperCommand):
    """`raftwerk serve` as shells see it. What it is given, cli/flags.py takes apart, as etcd does."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The flags, where something is to be completed."""
        return _serve_params() if ctx.resilient_parsing else super().get_params(ctx)


def _serve_params() -> list[Any]:
    from raftwerk.cli.flags import FLAGS  # not for every command

    def serve(**_: object) -> None: ...

    parameters = [
        inspect.Parameter(
            flag.name.replace("-", "_"),
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[bool if flag.is_switch else str, _option(flag)],
        )
        for flag in FLAGS
    ]
    serve.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    alone = typer.Typer(add_completion=False)
    alone.command()(serve)
    return get_command(alone).params


def _option(flag: "Flag") -> Any:
    names = getattr(flag.parse, "names", ())
    return typer.Option(f"--{flag.name}", help=flag.help, autocompletion=one_of(names))
