"""--flag=true and --flag=false, which programs in Go take, for the options of commands that stand without a value."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import typer

from raftwerk.cli.etcd_flags import FALSE, TRUE


def plain_flags(group: Any, arguments: Sequence[str]) -> list[str]:
    """The command line of a group, without such values. Of a flag that is given twice the last one counts.

    Raises BadParameter for a value that is neither true nor false.
    """
    command, place = group, 0
    while arguments[place : place + 1] and arguments[place] in getattr(command, "commands", ()):
        command = command.commands[arguments[place]]
        place += 1
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    flags: dict[str, str] = {}
    others: list[str] = []
    rest = iter(arguments[place:])
    for argument in rest:
        name, equals, text = argument.partition("=")
        option: Any = options.get(name) if argument.startswith("-") else None
        if getattr(option, "is_flag", False):
            flags[option.name] = _plain(option, name, text) if equals else name
            continue
        others.append(argument)
        if argument == "--":
            others += rest
        elif option is not None and not equals:
            others += islice(rest, 1)  # its value, whatever that looks like
    return [*arguments[:place], *filter(None, flags.values()), *others]


def _plain(option: Any, name: str, text: str) -> str:
    """How it is said without a value; "" for what is so unless it is said."""
    if text not in TRUE | FALSE:
        raise typer.BadParameter(f"{name}: {text!r} is neither true nor false")
    is_wanted = (text in TRUE) is (name in option.opts)
    return next(iter(option.opts if is_wanted else option.secondary_opts), "")
