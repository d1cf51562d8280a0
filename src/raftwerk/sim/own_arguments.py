"""What `simulate` is given, looked at before anything runs: what is wrong is told as what to pass instead."""

import inspect
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from raftwerk.errors import UsageError
from raftwerk.sim.faults import KINDS, Fault
from raftwerk.sim.options import Options

METHODS: Final = {"apply": (b"",), "dump": (), "load": (b"",)}
"""Of a machine, and what each is called with."""
FORMS: Final = "apply(self, command), dump(self) and load(self, data), all plain functions (no async, no yield)"


def check_arguments(
    seed: object,
    machine: Callable[[], object],
    command: object,
    oracle: object,
    options: object,
    faults: Iterable[object] | None,
    file: object,
) -> None:
    """Of `simulate`. Raises UsageError. Makes two machines, and calls nothing else."""
    _require(type(seed) is int and seed >= 0, f"seed is an int, 0 or more, not {_shown(seed)}")
    _check_machine(machine)
    _require(
        _is_plain(command) and _takes(command, Random()),
        "command is a function that gets a random.Random and returns what a client asks for next, as bytes, "
        f"as `def workload(random): return random.choice([b'one', b'two'])`; not {_shown(command)}",
    )
    _require(
        oracle is None or _takes(oracle, ()),
        "oracle is a function that gets all commands, as a sequence of bytes, and returns a result for each of them; "
        f"not {_shown(oracle)}",
    )
    _require(
        options is None or isinstance(options, Options),
        f"options are a raftwerk.sim.options.Options, not {_shown(options)}",
    )
    _require(
        faults is None
        or (isinstance(faults, list | tuple) and all(isinstance(one, Fault) for one in faults)),
        f"faults are a list of raftwerk.sim.faults.Fault, not {_shown(faults)}",
    )
    for fault in faults or ():
        _require(
            isinstance(fault, Fault) and fault.kind in KINDS,
            f"a fault is of one of the kinds {', '.join(KINDS)}; not {_shown(fault)}",
        )
    _require(
        file is None or callable(getattr(file, "write", None)),
        f"file is a text file that is open for writing, not {_shown(file)}",
    )


def _check_machine(make: Callable[[], object]) -> None:
    _require(
        callable(make) and _takes(make),
        "machine is called without arguments, and makes a new state machine each time: pass its class, or a function "
        f"such as `lambda: Tickets(size=3)`; not {_shown(make)}",
    )
    made = make()
    for name, arguments in METHODS.items():
        method = getattr(made, name, None)
        _require(
            _is_plain(method) and _takes(method, *arguments),
            f"machine makes a state machine: with {FORMS}; {_shown(made)} has "
            + (f"no {name}" if method is None else f"another {name}: {_shown(method)}"),
        )
    _require(
        make() is not made,
        f"machine makes a new state machine each time, one for each node; it gave {_shown(made)} twice: all would share it",
    )


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise UsageError(f"simulate: {text}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _is_plain(function: object) -> bool:
    """Whether a call does what it does at once."""
    return not (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    )


def _takes(function: object, *arguments: object) -> bool:
    """Whether it can be called with these; what does not tell is believed."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
