"""Breadth-first search through all states within bounds: the first counter-example found is a shortest one.

A state is the nodes, the network, what clients and faults still may do, and the history that the properties need. The
network is the set of all messages ever sent: each may be delivered at any time, any number of times, or never. So loss,
delay, reordering and repetition have no bounds and cost no actions; and dropping a message is never worth an action, for
whatever can happen without it can happen while it is on its way.

An action that changes nothing is not followed. No reduction looks at what the code is supposed to do.
"""

import time
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from raftwerk.raft.types import NodeId
from raftwerk.sim.checkers import Violation
from raftwerk.sim.explore.automaton import Automaton, Local, Outcome
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.digest import Lanes
from raftwerk.sim.explore.node import Act, Action, Node
from raftwerk.sim.explore.properties import History, Properties
from raftwerk.sim.explore.report import CounterExample, Report, outcome_of

REPORT_EVERY: Final = 2_000
"""Transitions between two reports of progress."""

NETWORKS: Final = 100_000
"""That are kept under all renamings."""

COUNTED: Final = {Act.PROPOSE: 0, Act.READ: 1, Act.CRASH: 2}
"""What the bounds count."""


Step: TypeAlias = tuple[NodeId, int | Action]
"""What happens to a node: the number of a message that reaches it, or something else."""


class Whole(NamedTuple):
    """One state of the model, in the automaton's numbers. network: a bit for each message; place: when it was found."""

    nodes: tuple[int, ...]
    network: int
    lanes: Lanes
    history: int
    proposals: int
    reads: int
    crashes: int
    place: int


class _Found(Exception):
    """A violation, the steps that ended in it, and the place of the state before them."""

    def __init__(self, steps: list[Step], error: Exception) -> None:
        super().__init__()
        self.place = 0
        self.steps = steps
        self.error = error


class Search:
    """One exploration."""

    def __init__(self, bounds: Bounds, *, has_symmetry: bool = True) -> None:
        self.bounds = bounds
        self.report = Report()
        self._automaton = Automaton(bounds, has_symmetry=has_symmetry)
        self._properties = Properties(bounds)
        self._histories: list[History] = []
        self._history_lanes: list[Lanes] = []
        self._history_of: dict[History, int] = {}
        self._checked: set[tuple[tuple[int, ...], int]] = set()
        self._known: dict[int, list[int]] = {}
        """By digest of all but the network: networks, none of which is a part of another."""
        # The tree of first visits: for each state the one before it, and the number of the step between them
        self._before = array("q")
        self._taken = array("q")
        self._steps: list[Step] = []
        self._step_of: dict[Step, int] = {}
        self._renamed = lru_cache(NETWORKS)(self._rename)
        digests = self._automaton.digests
        self._first_nodes: tuple[int, ...] = ()
        self._lengths: list[int] = []
        """Of what is committed in each history."""
        self._next_report = REPORT_EVERY
        limits = (bounds.proposals, bounds.reads, bounds.crashes)
        self._count_lanes = [
            [digests.of_same((kind, count)) for count in range(limit + 1)]
            for kind, limit in enumerate(limits)
        ]

    def run(
        self, *, states_max: int | None = None, on_progress: Callable[[Report], None] | None = None
    ) -> Report:
        """Visit every state, level by level, until something is broken or there are states_max.

        on_progress is called now and then; what it raises ends the search, and `report` tells what was covered until then.
        """
        started = time.monotonic()
        report = self.report
        try:
            level = [self._first()]
            report.levels.append(1)
            while level:
                # What has been found to be less than another state is not worth a visit
                level = [whole for whole in level if self._is_largest(whole)]
                following: list[Whole] = []
                report.levels.append(0)
                for whole in level:
                    if report.transitions >= self._next_report:
                        self._measure(started)
                        self._next_report += REPORT_EVERY
                        if on_progress is not None:
                            on_progress(report)
                        if states_max is not None and report.states >= states_max:
                            return report
                    self._expand(whole, following)
                    report.levels[-1] = len(following)
                level = following
                report.depth += 1
            report.is_complete = True
        except _Found as found:
            report.counter_example = self._counter_example(found)
        finally:
            self._measure(started)
        return report

    def _measure(self, started: float) -> None:
        report = self.report
        report.seconds = time.monotonic() - started
        report.local_states = len(self._automaton.locals)
        report.messages = len(self._automaton.messages)

    def _first(self) -> Whole:
        automaton, bounds = self._automaton, self.bounds
        nodes = self._first_nodes = tuple(
            automaton.number(Node(node_id, bounds)) for node_id in bounds.membership.voters
        )
        history = self._history_number(History.at_start(bounds))
        lanes = self._history_lanes[history] + sum(automaton.locals[local].lanes for local in nodes)
        lanes += sum(lanes_of[0] for lanes_of in self._count_lanes)
        self._before.append(-1)
        self._taken.append(-1)
        self._is_new(lanes, 0)
        return Whole(nodes, 0, lanes, history, 0, 0, 0, 0)

    def _history_number(self, history: History) -> int:
        number = self._history_of.get(history)
        if number is None:
            number = self._history_of[history] = len(self._histories)
            self._histories.append(history)
            self._lengths.append(len(history.committed))
            self._history_lanes.append(
                self._automaton.digests.of(lambda renaming: history.frozen(renaming))
            )
        return number

    def _expand(self, whole: Whole, following: list[Whole]) -> None:
        """Find all successors of a state, and append those that are new."""
        automaton = self._automaton
        for position, local in enumerate(whole.nodes):
            record = automaton.locals[local]
            for number in bits(whole.network & record.moves):
                self._follow(whole, position, number, following)
            for action in self._actions(whole, record):
                self._follow(whole, position, action, following)

    def _spread(
        self, nodes: tuple[int, ...], network: int, dirty: set[NodeId]
    ) -> tuple[int, list[Step]]:
        """Let all messages be sent that can be without a change of any node. Returns the network, and how that came.

        dirty: the nodes that have changed or have messages since this was done last.

        Raises _Found when that shows a defect.
        """
        automaton = self._automaton
        steps: list[Step] = []
        while dirty:
            node_id = dirty.pop()
            local = nodes[node_id - 1]
            record = automaton.locals[local]
            unknown = network & automaton.inboxes[node_id] & ~record.known
            for number in bits(unknown) if unknown else ():
                violation = automaton.outcome(local, number).violation
                if violation is not None:
                    raise _Found([*steps, (node_id, number)], violation)
            before = network
            for bit, sent in record.replies:
                if network & bit and sent & ~network:
                    network |= sent
                    steps.append((node_id, bit.bit_length() - 1))
            for action, sent in automaton.chatter(local):
                if sent & ~network:
                    network |= sent
                    steps.append((node_id, action))
            new = network & ~before
            if new:
                dirty.update(to for to, inbox in automaton.inboxes.items() if inbox & new)
        return network, steps

    def _actions(self, whole: Whole, record: Local) -> Iterator[Action]:
        bounds = self.bounds
        yield from record.choices
        if record.takes_clients:
            if whole.proposals < bounds.proposals:
                yield Action(Act.PROPOSE, whole.proposals + 1)
            if whole.reads < bounds.reads:
                yield Action(Act.READ, len(self._histories[whole.history].committed))
        if whole.crashes < bounds.crashes:
            yield Action(Act.CRASH)

    def _follow(
        self, whole: Whole, position: int, step: int | Action, following: list[Whole]
    ) -> None:
        """Go to one successor, unless it is known; check what must hold there."""
        automaton = self._automaton
        local = whole.nodes[position]
        outcome = automaton.outcome(local, step)
        kind = COUNTED.get(step.act) if isinstance(step, Action) else None
        if outcome.local == local and outcome.violation is None and kind is None:
            return
        self.report.transitions += 1
        try:
            if outcome.violation is not None:
                raise _Found([], outcome.violation)
            nodes = (*whole.nodes[:position], outcome.local, *whole.nodes[position + 1 :])
            network = whole.network | outcome.sent
            new = network & ~whole.network
            dirty = {to for to, inbox in automaton.inboxes.items() if inbox & new}
            network, _ = self._spread(nodes, network, {position + 1, *dirty})
            history = self._remember(
                nodes, whole.network, network, whole.history, position, outcome
            )
            lanes = (
                whole.lanes
                + automaton.locals[outcome.local].lanes
                - automaton.locals[local].lanes
                + self._history_lanes[history]
                - self._history_lanes[whole.history]
            )
            counts = [whole.proposals, whole.reads, whole.crashes]
            if kind is not None:
                count = counts[kind] = counts[kind] + 1
                lanes += self._count_lanes[kind][count] - self._count_lanes[kind][count - 1]
            if not self._is_new(lanes, network):
                return
            self._check(nodes, history)
        except _Found as found:
            found.place = whole.place
            found.steps.insert(0, (position + 1, step))
            raise
        place = len(self._before)
        self._before.append(whole.place)
        self._taken.append(self._step_number((position + 1, step)))
        proposals, reads, crashes = counts
        following.append(Whole(nodes, network, lanes, history, proposals, reads, crashes, place))

    def _is_new(self, lanes: Lanes, network: int) -> bool:
        """Whether no state is known that is the same but for more messages: all that can happen here can happen there."""
        key, mask = self._canonical(lanes, network)
        known = self._known.setdefault(key, [])
        for other in known:
            if not mask & ~other:
                return False
        known[:] = [other for other in known if other & ~mask]
        known.append(mask)
        return True

    def _is_largest(self, whole: Whole) -> bool:
        key, mask = self._canonical(whole.lanes, whole.network)
        return mask in self._known[key]

    def _canonical(self, lanes: Lanes, network: int) -> tuple[int, int]:
        """The digest of all but the network, and the network under the renaming that gave it."""
        key, places = self._automaton.digests.least(lanes)
        masks = self._renamed(network)
        return key, min([masks[place] for place in places])

    def _rename(self, network: int) -> list[int]:
        messages = self._automaton.messages
        return [
            sum(masks)
            for masks in zip(*[messages[number].canonical for number in bits(network)], strict=True)
        ] or [0] * len(self._automaton.digests.renamings)

    def _check(self, nodes: tuple[int, ...], history: int) -> None:
        """Once for each combination of nodes and history, for the rest has no say in it."""
        if (nodes, history) in self._checked:
            return
        self._checked.add((nodes, history))
        views = [self._automaton.view(local) for local in nodes]
        try:
            self._properties.check(views, self._histories[history])
        except (Violation, AssertionError) as error:
            raise _Found([], error) from error

    def _remember(
        self,
        nodes: tuple[int, ...],
        before: int,
        network: int,
        number: int,
        position: int,
        outcome: Outcome,
    ) -> int:
        """Returns the history after an action, and compares what was done with it."""
        automaton, properties = self._automaton, self._properties
        commit_index = automaton.locals[outcome.local].commit_index
        has_voted = bool(network & ~before & automaton.votes)
        if not (outcome.is_notable or has_voted) and commit_index <= self._lengths[number]:
            return number
        history = self._histories[number]
        views = [automaton.view(local) for local in nodes]
        actor = views[position]
        try:
            if outcome.is_election or has_voted:
                sent = [automaton.messages[bit] for bit in bits(network & automaton.votes)]
                history = properties.elected(
                    actor, history, [(one.sender, one.to, one.message) for one in sent]
                )
            properties.removed(views, actor.node_id, history, outcome.removed)
            if commit_index > len(history.committed):
                history = properties.committed_by(views, actor.node_id, history)
        except (Violation, AssertionError) as error:
            raise _Found([], error) from error
        return self._history_number(history)

    def _step_number(self, step: Step) -> int:
        number = self._step_of.get(step)
        if number is None:
            number = self._step_of[step] = len(self._steps)
            self._steps.append(step)
        return number

    def _counter_example(self, found: _Found) -> CounterExample:
        places = [found.place]
        while places[-1]:
            places.append(self._before[places[-1]])
        path = [self._steps[self._taken[place]] for place in reversed(places[:-1])]
        steps = self._spell(path, found.steps)
        return CounterExample(self.bounds, steps, *outcome_of(found.error))

    def _spell(self, path: list[Step], last: list[Step]) -> list[tuple[NodeId, Action]]:
        """The steps of the path with those in between that only sent something, if it was delivered later, and the last ones."""
        automaton = self._automaton
        nodes, network = self._first_nodes, 0
        told: list[
            tuple[Step, int, bool]
        ] = []  # step, what was new on the network, whether it must stay
        for index, step in enumerate([*path, *last]):
            node_id = step[0]
            outcome = automaton.outcome(nodes[node_id - 1], step[1])
            told.append(
                (step, outcome.sent & ~network, index < len(path) or step in (last[0], last[-1]))
            )
            network |= outcome.sent
            nodes = (*nodes[: node_id - 1], outcome.local, *nodes[node_id:])
            if index < len(path):
                for silent in self._spread(nodes, network, set(self.bounds.membership.voters))[1]:
                    sent = automaton.outcome(nodes[silent[0] - 1], silent[1]).sent
                    told.append((silent, sent & ~network, False))
                    network |= sent
        needed, kept = 0, []
        for step, new, must_stay in reversed(told):
            if must_stay or new & needed:
                kept.append(step)
                if not isinstance(step[1], Action):
                    needed |= 1 << step[1]
        return [(node_id, self._action(step)) for node_id, step in reversed(kept)]

    def _action(self, step: int | Action) -> Action:
        if isinstance(step, Action):
            return step
        sent = self._automaton.messages[step]
        return Action(Act.DELIVER, 0, sent.sender, sent.message)


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, from the lowest."""
    while mask:
        bit = mask & -mask
        mask ^= bit
        yield bit.bit_length() - 1
