"""What turns of event loops are made of, from lines of `perf script` of a node 7 with threads 6 and 8, and a process 9."""

import pytest

from benchmarks.turns import Turn, table, turns


def switch(ms: float, cpu_of: int, left: int, state: str, entered: int, core: int = 0) -> str:
    told = f"prev_comm=a b prev_pid={left} prev_prio=120 prev_state={state} ==> next_comm=c next_pid={entered} next_prio=120"
    return line(ms, cpu_of, "sched:sched_switch", told, core)


def wakes(ms: float, by: int, woken: int) -> str:
    return line(ms, by, "sched:sched_waking", f"comm=a pid={woken} prio=120 target_cpu=001")


def line(ms: float, thread: int, event: str, told: str, core: int = 0) -> str:
    process = {6: 7, 7: 7, 8: 7, 9: 9, 5: 5, 0: 0}[thread]
    return f"{process}/{thread} [{core:03}] {ms / 1e3:.9f}:    {event}: {told}"


def ticks(ms: float, thread: int = 7, core: int = 0) -> str:
    return line(ms, thread, "tick", "", core)


def run(start: int, stop: int, thread: int = 7, core: int = 0) -> list[str]:
    """A tick each millisecond, from the first to before the last."""
    return [ticks(ms, thread, core) for ms in range(start, stop)]


def in_order(lines: list[str]) -> list[str]:
    return sorted(lines, key=lambda one: float(one.split()[2].rstrip(":")))


def begins(ms: float) -> str:
    return line(ms, 7, "syscalls:sys_exit_epoll_pwait", "0x1")


def ends(ms: float) -> str:
    return line(ms, 7, "syscalls:sys_enter_epoll_pwait", "epfd: 0x00000003")


def parts(*lines: str) -> tuple[float, ...]:
    """Of the only turn: worked, waited, blocked, stolen."""
    seen = [switch(1, 8, 8, "S", 9), *lines]
    (turn,) = turns(seen, [7])[7]
    return tuple(round(part, 6) for part in turn[1:])


def only_turn(*lines: str) -> tuple[float, ...]:
    """The same, of which nothing is stolen."""
    *found, stolen = parts(*lines)
    assert stolen == 0
    return tuple(found)


def test_work_and_wait_for_a_core() -> None:
    lines = [begins(10), switch(12, 7, 7, "R", 9), switch(17, 9, 9, "R", 7), ends(18)]
    assert only_turn(*lines) == (3, 5, 0)


def test_what_a_thread_did_that_the_loop_stood_by_for_is_of_the_turn() -> None:
    """It waits 2 ms for a core, works for 3, sleeps 4 at the disk, and has 1 left to do."""
    lines = [
        begins(10),
        wakes(11, 7, 8),
        switch(11, 7, 7, "S", 9),
        switch(13, 9, 9, "R", 8),
        switch(16, 8, 8, "D", 9),
        wakes(20, 9, 8),
        switch(20, 9, 9, "R", 8),
        wakes(21, 8, 7),
        switch(21, 8, 8, "S", 7),
        ends(21),
    ]
    assert only_turn(*lines) == (1 + 3 + 1, 2, 4)


def test_it_may_have_stood_by_for_another_one_itself() -> None:
    """As a thread does that wants the interpreter, while the one that has it waits for a core."""
    lines = [
        switch(2, 6, 6, "S", 9),
        begins(10),
        wakes(11, 7, 8),
        switch(11, 7, 7, "S", 8),
        wakes(12, 8, 6),
        switch(12, 8, 8, "S", 9),
        switch(16, 9, 9, "R", 6),
        wakes(17, 6, 8),
        switch(17, 6, 6, "S", 8),
        wakes(18, 8, 7),
        switch(18, 8, 8, "S", 7),
        ends(18),
    ]
    assert only_turn(*lines) == (1 + 1 + 1 + 1, 4, 0)


def test_sleep_that_nobody_of_the_node_ends_is_blocked() -> None:
    lines = [
        begins(10),
        switch(11, 7, 7, "D", 9),
        wakes(15, 9, 7),
        switch(17, 9, 9, "R", 7),
        ends(17),
    ]
    assert only_turn(*lines) == (1, 2, 4)


def test_who_is_woken_on_the_way_to_sleep_waits_for_a_core() -> None:
    lines = [
        begins(10),
        wakes(11, 9, 7),
        switch(11.02, 7, 7, "S", 9),
        switch(15, 9, 9, "R", 7),
        ends(15),
    ]
    assert only_turn(*lines) == (1.02, 3.98, 0)


def test_turn_whose_beginning_is_not_known_is_none() -> None:
    assert turns([ends(1), begins(2), begins(3), ends(5), ends(6)], [7])[7] == [Turn(3, 2, 0, 0, 0)]


def test_record_may_begin_while_the_loop_is_asleep() -> None:
    lines = [wakes(1, 9, 7), switch(2, 9, 9, "S", 7), begins(2), ends(3)]
    assert only_turn(*lines) == (1, 0, 0)


def test_pause_of_a_busy_core_is_stolen_but_for_a_tick() -> None:
    begun = [switch(2, 9, 9, "R", 7), ticks(3), begins(4), *run(5, 8)]
    assert parts(*begun, ticks(37), ends(38)) == (3 + 1 + 1, 0, 0, 29)


def test_pause_of_a_core_that_the_loop_stands_by_for_is_stolen_from_the_turn() -> None:
    begun = [switch(2, 9, 9, "R", 7), begins(4), wakes(5, 7, 8), switch(5, 7, 7, "S", 8)]
    after = [ticks(45, 8), wakes(46, 8, 7), switch(46, 8, 8, "S", 7), ends(47)]
    assert parts(*begun, *after) == (1 + 1 + 1 + 1, 0, 0, 39)


def test_pause_of_a_core_is_stolen_though_others_run() -> None:
    mine = [switch(2, 9, 9, "R", 7), ticks(3), begins(4), *run(5, 8), ticks(37), ends(38)]
    theirs = [*run(3, 40, 5, 1), switch(8, 5, 5, "S", 0, core=1), switch(9, 0, 0, "R", 5, core=1)]
    assert parts(*in_order([*mine, *theirs])) == (3 + 1 + 1, 0, 0, 29)


def test_pause_of_another_core_is_not_stolen_from_the_turn() -> None:
    """Nor that of another thread of the node, for which the loop does not stand by."""
    mine = [switch(2, 9, 9, "R", 7), begins(4), *run(5, 38), ends(38)]
    theirs = [switch(3, 5, 5, "R", 8, core=1), ticks(36, 8, core=1)]
    assert only_turn(*in_order([*mine, *theirs])) == (34, 0, 0)


def test_pause_while_the_loop_waits_for_a_core_is_not_stolen_from_it() -> None:
    begun = [switch(2, 9, 9, "R", 7), ticks(3), begins(4), switch(5, 7, 7, "R", 9)]
    assert only_turn(*begun, ticks(40, 9), switch(41, 9, 9, "R", 7), ends(42)) == (2, 36, 0)


def test_pause_that_began_before_the_loop_stood_by_for_it_is_stolen_from_then_on() -> None:
    """Thread 8 pauses on the other core from 10 to 70, as the loop works until 65 and then sleeps until 8 wakes it up at 71."""
    theirs = [switch(10, 5, 5, "R", 8, core=1), ticks(70, 8, core=1), wakes(71, 8, 7)]
    mine = [switch(2, 9, 9, "R", 7), begins(20), *run(20, 65), switch(65, 7, 7, "S", 9)]
    after = [switch(71, 9, 9, "R", 7), ends(72)]
    worked, waited, blocked, stolen = parts(*in_order([*mine, *theirs, *after]))
    assert (worked + stolen, waited, blocked) == (45 + 6 + 1, 0, 0)
    assert 0 <= stolen <= 6


def test_long_work_is_not_stolen_where_ticks_are_not_recorded() -> None:
    assert only_turn(switch(2, 9, 9, "R", 7), begins(4), ends(44)) == (40, 0, 0)


def test_table_has_the_worst_of_each() -> None:
    lines = list(table({7: [Turn(0, 1, 8, 0, 6), Turn(10, 3, 0, 2, 0)], 8: []}))
    assert lines[1].split() == ["7", "2", "15.0", "5.0", "3.0", "8.0", "2.0", "6.0"]
    assert lines[2].split() == ["8", "0", *["0.0"] * 6]


@pytest.mark.parametrize("text", ["", "python 7 1.5: 1000 cpu-clock:", "no line at all"])
def test_other_lines_are_passed_over(text: str) -> None:
    assert turns([text, begins(1), ends(2)], [7])[7] == [Turn(1, 1, 0, 0, 0)]


def test_lines_with_other_fields_are_an_error() -> None:
    lines = ["7/7 0.004: syscalls:sys_exit_epoll_pwait: 0x1", "7/7 0.009: x:sys_enter_epoll_pwait:"]
    with pytest.raises(ValueError, match="pid,tid,cpu,time,event,trace"):
        turns(lines, [7])
