"""Operations and what their answers say of the state."""

from raftwerk.sim.history import History, Operation, Outcome


def operation(name: str = "put", outcome: Outcome = Outcome.OK, **facts: object) -> Operation:
    made = Operation(1, 1, name, 0, 0, outcome=outcome)
    for key, value in facts.items():
        setattr(made, key, value)
    return made


def test_write_changes_its_keys() -> None:
    write = operation(command=b"c", writes={1: b"x"})
    assert write.apply((b"a", b"b")) == (True, (b"a", b"x"))


def test_previous_values_must_be_right() -> None:
    write = operation(command=b"c", writes={0: b"x"}, previous={0: b"b"})
    assert not write.apply((b"a",))[0]
    assert write.apply((b"b",)) == (True, (b"x",))


def test_guard_decides_and_the_answer_must_agree() -> None:
    cas = operation(command=b"c", writes={0: b"x"}, guard=(0, b"a"), succeeded=True)
    assert cas.apply((b"a",)) == (True, (b"x",))
    assert not cas.apply((b"b",))[0]
    failed = operation(
        command=b"c", writes={0: b"x"}, guard=(0, b"a"), succeeded=False, seen=(b"b",)
    )
    assert failed.apply((b"b",)) == (True, (b"b",))
    assert not failed.apply((b"c",))[0]
    assert not failed.apply((b"a",))[0]


def test_unknown_outcome_agrees_with_everything() -> None:
    cas = operation(outcome=Outcome.UNKNOWN, command=b"c", writes={0: b"x"}, guard=(0, b"a"))
    assert cas.apply((b"a",)) == (True, (b"x",))
    assert cas.apply((b"b",)) == (True, (b"b",))


def test_groups_leave_out_what_tells_nothing() -> None:
    history = History(1)
    history.operations = [
        operation("get", Outcome.UNKNOWN),
        operation("put", Outcome.NOT_DONE, command=b"c"),
        operation("put", Outcome.UNKNOWN, command=b"c"),
        operation("get"),
    ]
    assert [one.name for one in history.groups()[0]] == ["put", "get"]
