"""What turns of event loops are made of, from lines of `perf script` of a node 7 with threads 6 and 8, and a process 9."""

import pytest

from benchmarks.turns import Turn, table, turns


def switch(ms: float, cpu_of: int, left: int, state: str, entered: int) -> str:
    told = f"prev_comm=a b prev_pid={left} prev_prio=120 prev_state={state} ==> next_comm=c next_pid={entered} next_prio=120"
    return line(ms, cpu_of, "sched:sched_switch", told)


def wakes(ms: float, by: int, woken: int) -> str:
    return line(ms, by, "sched:sched_waking", f"comm=a pid={woken} prio=120 target_cpu=001")


def line(ms: float, thread: int, event: str, told: str) -> str:
    """The node's threads are on a core of their own."""
    process, core = {6: (7, 0), 7: (7, 0), 8: (7, 0), 9: (9, 0), 5: (5, 1)}[thread]
    return f"{process}/{thread} [{core:03}] {ms / 1e3:.9f}:    {event}: {told}"


def ticks(ms: float, thread: int = 7) -> str:
    return line(ms, thread, "irq_vectors:local_timer_entry", "vector=236")


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
    begun = [switch(2, 9, 9, "R", 7), ticks(3), begins(4), ticks(7)]
    assert parts(*begun, ticks(37), ends(38)) == (4 + 30 - 20, 0, 0, 20)


def test_pause_of_a_core_that_the_loop_stands_by_for_is_stolen_from_the_turn() -> None:
    begun = [switch(2, 9, 9, "R", 7), begins(4), wakes(5, 7, 8), switch(5, 7, 7, "S", 8)]
    after = [ticks(45, 8), wakes(46, 8, 7), switch(46, 8, 8, "S", 7), ends(47)]
    assert parts(*begun, *after) == (1 + 10 + 1 + 1, 0, 0, 30)


def test_pause_is_of_one_core_and_of_who_is_on_it() -> None:
    """Others run, and the loop stands still ready."""
    begun = [switch(2, 9, 9, "R", 7), ticks(3), begins(4), switch(5, 7, 7, "R", 9)]
    others = [ticks(ms, 5) for ms in range(6, 40, 4)]
    assert only_turn(*begun, *others, ticks(40, 9), switch(41, 9, 9, "R", 7), ends(42)) == (
        2,
        36,
        0,
    )


def test_long_work_is_not_stolen_where_ticks_are_not_recorded() -> None:
    assert only_turn(switch(2, 9, 9, "R", 7), begins(4), ends(44)) == (40, 0, 0)


def test_table_has_the_worst_of_each() -> None:
    lines = list(table({7: [Turn(0, 1, 8, 0, 1), Turn(10, 3, 0, 2, 0)], 8: []}))
    assert lines[1].split() == ["7", "2", "10.0", "5.0", "3.0", "8.0", "2.0", "1.0"]
    assert lines[2].split() == ["8", "0", *["0.0"] * 6]


@pytest.mark.parametrize("text", ["", "python 7 1.5: 1000 cpu-clock:", "no line at all"])
def test_other_lines_are_passed_over(text: str) -> None:
    assert turns([text, begins(1), ends(2)], [7])[7] == [Turn(1, 1, 0, 0, 0)]
