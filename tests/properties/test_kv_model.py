"""The machine on both stores does what the naive model does, for random commands, checkpoints, crashes and snapshots."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from raftwerk.kv.commands import Command, Operation, RangeQuery
from tests.kv.model import Model
from tests.kv.rig import Rig
from tests.kv.strategies import COMMANDS, LEASE_IDS

EVENTS = st.sampled_from(["checkpoint", "crash", "remove a slice", "remove all"])
STEPS = st.lists(st.one_of(COMMANDS, COMMANDS, COMMANDS, EVENTS), min_size=1, max_size=30)
EVERYTHING = (b"\0", b"\0")
BOUNDED = settings(max_examples=60, deadline=None, database=None, derandomize=True)


@contextmanager
def both_stores() -> Iterator[list[Rig]]:
    with TemporaryDirectory() as folder:
        rigs = [Rig(), Rig(Path(folder) / "store")]
        try:
            yield rigs
        finally:
            for rig in rigs:
                rig.close()


def happen(rig: Rig, event: str) -> None:
    if event == "checkpoint":
        rig.checkpoint()
    elif event == "crash":
        rig.crash()
    elif event == "remove a slice":
        rig.machine.maintain(2)
    else:
        rig.remove_all()


def states(executor: Rig | Model, first: int, last: int) -> list[object]:
    """The whole state at every revision from first to last."""
    return [executor.execute(RangeQuery(*EVERYTHING, revision=at)) for at in range(first, last + 1)]


def check_leases(rig: Rig, model: Model) -> None:
    """The same leases, with the same keys, in order."""
    leases = rig.machine.leases
    assert {
        lease_id: tuple(lease) for lease_id, lease in leases.some(None, 10_000)[0]
    } == model.leases
    newest = model.states[-1]
    for lease_id in LEASE_IDS:
        attached = sorted(key for key, kv in newest.items() if kv.lease == lease_id)
        assert leases.keys(lease_id) == attached


@given(STEPS)
@settings(BOUNDED, max_examples=150)
def test_every_answer_is_that_of_the_model(steps: list[Operation | Command | str]) -> None:
    model = Model()
    with both_stores() as rigs:
        for step in steps:
            if isinstance(step, str):
                for rig in rigs:
                    happen(rig, step)
            else:
                expected = model.execute(step)
                assert [rig.execute(step) for rig in rigs] == [expected, expected]
        first = max(model.compacted, 1)
        expected_states = states(model, first, model.revision)
        for rig in rigs:
            assert states(rig, first, model.revision) == expected_states
            check_leases(rig, model)
        assert rigs[0].hash() == rigs[1].hash()


@given(STEPS)
@BOUNDED
def test_hash_does_not_depend_on_when_members_removed_crashed_or_made_checkpoints(
    steps: list[Operation | Command | str],
) -> None:
    with both_stores() as (lazy, busy):
        for step in steps:
            if isinstance(step, str):
                happen(busy, step)
            else:
                lazy.execute(step)
                busy.execute(step)
        for revision in {lazy.machine.revision, max(lazy.machine.compacted_revision, 1)}:
            assert busy.hash(revision) == lazy.hash(revision)


@given(STEPS, st.lists(COMMANDS, max_size=10))
@BOUNDED
def test_snapshot_holds_the_state_of_its_position_while_writes_go_on(
    steps: list[Operation | Command | str], later: list[Operation | Command]
) -> None:
    with both_stores() as rigs, TemporaryDirectory() as folder:
        for number, rig in enumerate(rigs):
            for step in steps:
                if isinstance(step, str):
                    happen(rig, step)
                else:
                    rig.execute(step)
            rig.checkpoint()
            reader = rig.machine.open_snapshot()
            expected = rig.hash(), rig.machine.revision, rig.machine.position
            for command in later:
                rig.execute(command)
            rig.remove_all()
            rig.checkpoint()

            fresh = Rig(Path(folder) / str(number))
            fresh.install(reader)
            reader.close()
            assert (fresh.hash(), fresh.machine.revision, fresh.machine.position) == expected
            fresh.log = list(rig.log)
            fresh.crash()
            assert fresh.hash() == rig.hash()
            assert fresh.machine.revision == rig.machine.revision
            fresh.close()
