"""Which options a user has given, for commands whose options do not all go together."""

from typing import Any


def options_given(context: Any) -> list[str]:
    """Their names ("--seed"), of the command that runs; not those that have their default."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]
