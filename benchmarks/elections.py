"""Elections in the simulator, after Figure 16 of the paper: how long nobody leads, and how many elections it takes.

python -m benchmarks.elections [--trials N]

Five nodes; the leader's machine goes at a random moment of a heartbeat interval (half of the least election timeout), and no
connection is closed, so that nothing but the timeout tells. A message takes 2 ms and an exponential 3 ms more, a write 1 to 2 ms.
A row is a range of election timeouts: first of ever more randomness over 150 ms, then ever shorter ones from T to 2 T, which is
what the core draws. Other ranges are put into it as the simulator's mutants are.
"""

import argparse
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks import plots, report
from raftwerk.raft.config import Config
from raftwerk.raft.membership import Membership
from raftwerk.raft.types import NodeId
from raftwerk.sim.cluster import Cluster
from raftwerk.sim.journal import DiskOptions
from raftwerk.sim.mutants.mutant import Mutant, applied
from raftwerk.sim.network import NetworkOptions
from raftwerk.sim.options import Options

TRIALS: Final = 200
PATIENCE_MS: Final = 10_000
"""A try without a leader so long ends."""
NETWORK: Final = NetworkOptions(delay_min_us=2_000, delay_mean_us=3_000)
DISK: Final = DiskOptions(sync_min_us=1_000, sync_mean_us=500)
ELECTIONS_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Range:
    """Election timeouts from `least_ms` on, over width_ms of them."""

    least_ms: int
    width_ms: int

    def __str__(self) -> str:
        return f"{self.least_ms}-{self.least_ms + self.width_ms} ms"

    def mutant(self) -> Mutant | None:
        """What makes the core draw from it; None if it does so by itself."""
        if self.width_ms == self.least_ms:
            return None
        where = "raft.transitions:draw_election_timeout_ms"
        return Mutant(str(self), where, "randrange(minimum)", f"randrange({self.width_ms + 1})")


RANDOMNESS: Final = [Range(150, width_ms) for width_ms in (0, 1, 5, 25, 50, 150)]
SHORTER: Final = [Range(least_ms, least_ms) for least_ms in (12, 25, 50, 100, 150)]


@dataclass(slots=True)
class Elections:
    """down_ms, elections: of each try; elections: how many terms went by until somebody led."""

    down_ms: list[float]
    elections: list[int]


def _options(timeouts: Range) -> Options:
    least_ms = timeouts.least_ms
    return Options(
        membership=Membership((1, 2, 3, 4, 5)),
        config=Config(heartbeat_interval_ms=least_ms // 2, election_timeout_ms=least_ms),
        tick_ms=1,
        network=NETWORK,
        disk=DISK,
    )


def hold(timeouts: Range, trials: int, seed: int = 1) -> Elections:
    """Lose so many leaders, one after the other."""
    cluster = Cluster(seed, _options(timeouts))
    mutant = timeouts.mutant()
    with applied(mutant) if mutant else nullcontext():
        cluster.start_all()
        found = [_lose_leader(cluster) for _ in range(trials)]
    return Elections([down_ms for down_ms, _ in found], [elections for _, elections in found])


def _lose_leader(cluster: Cluster) -> tuple[float, int]:
    """Returns how long nobody led, and how many elections it took; the lost one is there again then."""
    world, heartbeat_us = cluster.world, 1000 * cluster.options.config.heartbeat_interval_ms
    leader = _settled_leader(cluster)
    random = world.stream(f"moment {world.step}")
    world.run_until(world.now_us + random.randrange(heartbeat_us))
    term, start_us = cluster.nodes[leader].state.current_term, world.now_us
    cluster.crash(leader, with_power=False)
    world.run_until(start_us + PATIENCE_MS * 1000, lambda: cluster.leader() is not None)
    newest_term = max(node.state.current_term for node in cluster.up())
    down_ms = (world.now_us - start_us) / 1000
    cluster.start(leader)
    return down_ms, newest_term - term


def _settled_leader(cluster: Cluster) -> NodeId:
    """A leader whom all follow."""
    for _ in range(1_000):
        cluster.run_ms(4 * cluster.options.config.election_timeout_ms)
        leaders = {(node.state.leader_id, node.state.current_term) for node in cluster.up()}
        if len(leaders) == 1 and (leader := cluster.leader()) is not None:
            return leader
    raise AssertionError("nobody leads for long")


def draw_down_time(axes: Axes, ranges: list[Range], found: dict[str, Elections]) -> None:
    """Each line: the part of the tries in which somebody led again after so long."""
    for timeouts in ranges:
        down_ms = sorted(found[str(timeouts)].down_ms)
        parts = [(place + 1) / len(down_ms) for place in range(len(down_ms))]
        axes.step([0.0, *down_ms], [0.0, *parts], where="post", label=str(timeouts))
    axes.set(xscale="log", xlabel="ms without a leader", ylabel="part of the tries")
    axes.set_xlim(left=10)
    axes.grid(alpha=0.3)
    axes.legend(title="election timeouts")


def draw_elections(axes: Axes, ranges: list[Range], found: dict[str, Elections]) -> None:
    """Each bar: in which part of the tries it took one election, two, three, more."""
    bottoms = [0.0] * len(ranges)
    names = [str(timeouts).replace(" ms", "") for timeouts in ranges]
    for number in range(1, ELECTIONS_SHOWN + 1):
        parts = [_part(found[str(timeouts)].elections, number) for timeouts in ranges]
        label = f"{number}" if number < ELECTIONS_SHOWN else f"{number} and more"
        axes.bar(names, parts, bottom=bottoms, label=label)
        bottoms = [bottom + part for bottom, part in zip(bottoms, parts, strict=True)]
    axes.set(xlabel="election timeouts, ms", ylabel="part of the tries", ylim=(0, 1))
    axes.legend(title="elections", loc="upper left", bbox_to_anchor=(1, 1))


def _part(elections: list[int], number: int) -> float:
    counts = Counter(min(taken, ELECTIONS_SHOWN) for taken in elections)
    return counts[number] / len(elections)


def draw(found: dict[str, Elections], folder: Path) -> list[Path]:
    """Both plots of the figure, and the split votes, into a folder that is made; returns the files."""
    down_time = Figure(figsize=(7, 8), layout="constrained")
    upper, lower = down_time.subplots(2)
    upper.set_title("Without a leader: more randomness")
    draw_down_time(upper, RANDOMNESS, found)
    lower.set_title("Without a leader: shorter timeouts")
    draw_down_time(lower, SHORTER, found)
    split_votes = Figure(figsize=(7, 4.2), layout="constrained")
    axes = split_votes.subplots()
    axes.set_title("Split votes: how many elections it takes")
    draw_elections(axes, RANDOMNESS, found)
    return [
        *plots.save(down_time, folder, "down-time"),
        *plots.save(split_votes, folder, "split-votes"),
    ]


def measure(trials: int, folder: Path) -> Path:
    """Hold all elections, print, keep and draw; returns the file with the figures."""
    ranges = [*RANDOMNESS, *(one for one in SHORTER if one not in RANDOMNESS)]
    found = {str(timeouts): hold(timeouts, trials) for timeouts in ranges}
    columns = ("mean ms", "median ms", "p99 ms", "longest ms", "elections")
    table = Table("election timeouts", *columns)
    rows: dict[str, object] = {}
    for name, one in found.items():
        down_ms = sorted(one.down_ms)
        figures = (
            sum(down_ms) / len(down_ms),
            down_ms[len(down_ms) // 2],
            down_ms[len(down_ms) * 99 // 100],
            down_ms[-1],
            sum(one.elections) / len(one.elections),
        )
        table.add_row(name, *(f"{figure:.1f}" for figure in figures))
        rows[name] = {
            **{column.replace(" ", "_"): round(figure, 2) for column, figure in zip(columns, figures, strict=True)},
            "down_ms": one.down_ms,
            "elections_of_each": one.elections,
        }  # fmt: skip
    Console().print(table)
    what = "five nodes in virtual time; the leader's machine goes, and no connection tells"
    path = report.keep("elections", {"what": what, "trials": trials, "rows": rows}, folder)
    draw(found, path.with_suffix(""))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder")
    given = parser.parse_args()
    print(f"kept in {measure(given.trials, given.results)}, with plots beside it")


if __name__ == "__main__":
    main()
