"""A counter-example on its own: told in the paper's words, kept in a file, and carried out again without the search.

The file is JSON: the bounds, the mutant if one was in the code, what was broken, and the steps. A message is named by its
sender and its text, and must have been sent by then.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Final, NamedTuple, TextIO

from raftwerk.errors import UsageError
from raftwerk.raft.messages import Message
from raftwerk.raft.roles import Leader
from raftwerk.raft.types import NodeId
from raftwerk.sim.checkers import Violation
from raftwerk.sim.explore.bounds import Bounds
from raftwerk.sim.explore.node import Act, Action, Done, Node
from raftwerk.sim.explore.properties import History, Properties
from raftwerk.sim.explore.report import CounterExample, outcome_of
from raftwerk.sim.trace import Trace
from raftwerk.sim.world import World

STEP_US: Final = 1_000
"""Between two steps in the trace; it means nothing."""

WORDS: Final = {
    Act.DURABLE: "has its oldest persist on stable storage",
    Act.CRASH: "crashes, and starts again from stable storage",
    Act.ELECTION: "reaches its election timeout",
    Act.SILENCE: "has not heard its leader for the minimum election timeout",
    Act.HEARTBEAT: "sends heartbeats",
    Act.STEP_DOWN: "has heard no majority for an election timeout",
    Act.PROPOSE: "gets a command from a client",
    Act.READ: "gets a read from a client",
}


class KeptStep(NamedTuple):
    """As Action, with the message as text."""

    node: NodeId
    act: Act
    number: int
    sender: NodeId
    message: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A counter-example as it stands in the file. mutant: the defect it was found with; "": none."""

    bounds: Bounds
    mutant: str
    invariant: str
    text: str
    steps: list[KeptStep]


def keep(example: CounterExample, mutant: str) -> Kept:
    """A counter-example in the form that lasts."""
    steps = [
        KeptStep(
            node_id,
            action.act,
            action.number,
            action.sender,
            repr(action.message) if action.message else "",
        )
        for node_id, action in example.steps
    ]
    return Kept(example.bounds, mutant, example.invariant, example.text, steps)


def write(kept: Kept, file: TextIO) -> None:
    """Write the file."""
    facts = asdict(kept) | {"steps": [step._asdict() for step in kept.steps]}
    json.dump(facts, file, indent=1)
    file.write("\n")


def read(file: TextIO) -> Kept:
    """The inverse of write. Raises UsageError for another file."""
    try:
        found = json.load(file)
        bounds = Bounds(**found["bounds"])
        steps = [
            KeptStep(**{**step, "act": Act(step["act"])})
            for step in found["steps"]
            if step["node"] in bounds.membership.voters
        ]
        return Kept(bounds, found["mutant"], found["invariant"], found["text"], steps)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"not a counter-example of raftwerk explore: {error}") from error


class Play:
    """The whole model, without numbers and without a search: nodes, all messages ever sent, and the history."""

    def __init__(self, bounds: Bounds, file: TextIO | None = None) -> None:
        self.nodes = [Node(node_id, bounds) for node_id in bounds.membership.voters]
        self.sent: list[tuple[NodeId, NodeId, Message]] = []
        self.history = History.at_start(bounds)
        self._properties = Properties(bounds)
        self._world = World(0)
        self._trace = Trace(self._world, file)
        for node in self.nodes:
            self._trace.record(node.node_id, "start", {"life": 1, "term": bounds.start_term})

    def find(self, to: NodeId, sender: NodeId, text: str) -> Message:
        """The message that was sent, by its text. Raises UsageError if there is none."""
        for one, other, message in self.sent:
            if (one, other, repr(message)) == (sender, to, text):
                return message
        raise UsageError(f"node {sender} has not sent node {to} {text} by then")

    def step(self, node_id: NodeId, action: Action) -> str:
        """Carry out one step. Returns what happened, in words. Raises Violation or AssertionError when it breaks something."""
        node = self.nodes[node_id - 1]
        self._world.now_us += STEP_US
        self._record(node_id, action)
        before, was_leading = _summary(node), isinstance(node.state.role, Leader)
        done = node.act(action)
        for notice in done.notices:
            self._trace.record(node_id, "notice", {"event": notice.event, **notice.facts})
        for to, message in done.sent:
            kind = type(message).__name__
            self._trace.record(
                node_id, "send", {"from": node_id, "to": to, "kind": kind, "term": message.term}
            )
        self.sent += [(node_id, to, message) for to, message in done.sent]
        self._check(node, done, is_elected=isinstance(node.state.role, Leader) > was_leading)
        after = _summary(node)
        changes = [f"{name} {after[name]}" for name in after if after[name] != before[name]]
        sends = [f"sends node {to} {describe(message)}" for to, message in done.sent]
        return "; ".join([*changes, *done.answers, *sends])

    def _check(self, node: Node, done: Done, *, is_elected: bool) -> None:
        properties, nodes = self._properties, self.nodes
        has_voted = any(
            type(message).__name__.startswith("RequestVote") for _, message in done.sent
        )
        if is_elected or has_voted:
            self.history = properties.elected(node, self.history, self.sent)
        properties.removed(nodes, node.node_id, self.history, done.removed)
        if node.state.commit_index > len(self.history.committed):
            self.history = properties.committed_by(nodes, node.node_id, self.history)
        properties.check(nodes, self.history)

    def _record(self, node_id: NodeId, action: Action) -> None:
        act = action.act
        if act is Act.DELIVER:
            kind = type(action.message).__name__
            self._trace.record(node_id, "deliver", {"from": action.sender, "kind": kind})
        elif act is Act.DURABLE:
            ticket = self.nodes[node_id - 1].pending[0].ticket
            self._trace.record(node_id, "durable", {"ticket": ticket})
        elif act is Act.CRASH:
            self._trace.record(node_id, "crash", {})
        elif act in (Act.PROPOSE, Act.READ):
            self._trace.record(node_id, "call", {"what": act.value})
        else:
            self._trace.record(node_id, "fault", {"what": act.value})


def _summary(node: Node) -> dict[str, str]:
    state, durable = node.state, node.disk.durable
    log = state.log
    return {
        "role": type(state.role).__name__.lower(),
        "current_term": str(state.current_term),
        "voted_for": str(state.voted_for or "nobody"),
        "log": _terms([entry.term for entry in log.slice(1, log.last_index + 1)]),
        "commit_index": str(state.commit_index),
        "on disk:": f"term {durable.current_term}, vote {durable.voted_for or 'nobody'}, log {_terms(durable.terms)}",
    }


def describe(message: Message) -> str:
    """A message in a few words: what is 0, empty or as always is left out, and of entries only the terms are told."""
    words = []
    for field in fields(message):
        value = getattr(message, field.name)
        if field.name == "entries" and value:
            value = _terms([entry.term for entry in value])
        if value != field.default and (value or isinstance(value, bool)):
            words.append(f"{field.name} {value}")
    return f"{type(message).__name__}({', '.join(words)})"


def _terms(terms: list[int]) -> str:
    return "[" + " ".join(map(str, terms)) + "]"


def tell(kept: Kept, file: TextIO | None = None) -> Iterator[str]:
    """Carry the steps out, and tell the story; the trace goes to the file. The last line says what is broken, if anything.

    Raises UsageError when the code sends other messages than those of the steps.
    """
    play = Play(kept.bounds, file)
    for number, step in enumerate(kept.steps, start=1):
        message = None
        words = WORDS.get(step.act, "")
        if step.act is Act.DELIVER:
            message = play.find(step.node, step.sender, step.message)
            words = f"receives from node {step.sender} {describe(message)}"
        yield f"{number:3}  node {step.node} {words}"
        try:
            came = play.step(step.node, Action(step.act, step.number, step.sender, message))
        except (Violation, AssertionError) as error:
            yield f"     {': '.join(outcome_of(error))}"
            return
        yield f"       {came or 'nothing changes'}"
    yield "     Every property holds."
