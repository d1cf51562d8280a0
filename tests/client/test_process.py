"""A fork knows that it is another process."""

import os

from raftwerk.client.process import THIS_PROCESS


def test_this_process_has_its_number_and_a_fork_another_one() -> None:
    assert THIS_PROCESS.number == os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(int(THIS_PROCESS.number != os.getpid()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
