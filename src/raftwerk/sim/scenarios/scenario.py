"""What a scenario is, and how one is played."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TextIO

from raftwerk.sim.checkers import Violation
from raftwerk.sim.options import Options
from raftwerk.sim.run import Failure
from raftwerk.sim.scenarios.stage import Stage
from raftwerk.sim.trace import TraceLost


@dataclass(frozen=True, slots=True)
class Scenario:
    """prepares: whether the play itself begins the cluster. finishes: whether it does not bring all nodes to one state.

    amid: what tells it from others with the same play.
    """

    name: str
    play: Callable[[Stage], None]
    options: Options
    prepares: bool = False
    finishes: bool = False
    amid: str = ""

    @property
    def text(self) -> str:
        """What it is about, in one line."""
        play = self.play.func if isinstance(self.play, partial) else self.play
        about = (play.__doc__ or "").partition("\n")[0]
        return f"{about.rstrip('.')} ({self.amid})." if self.amid else about


def perform(scenario: Scenario, seed: int = 1, file: TextIO | None = None) -> Failure | None:
    """Play a scenario with a seed. Returns what broke, if anything did."""
    stage = Stage(seed, scenario.options, file)
    world = stage.cluster.world
    try:
        if not scenario.prepares:
            stage.begin()
        scenario.play(stage)
        if not scenario.finishes:
            stage.finish()
    except TraceLost:
        raise
    except Violation as violation:
        name, text = violation.invariant, violation.text
    except Exception as error:  # noqa: BLE001  (a bug, or something that should have happened and did not)
        name = f"{type(error).__name__}: {error}"
        text = "".join(traceback.format_exception(error)[-6:])
    else:
        return None
    story = stage.cluster.trace.story()
    return Failure(seed, world.step, f"{scenario.name}: {name}", text, story, scenario.name)
