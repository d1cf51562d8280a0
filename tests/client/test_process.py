"""The number of this process, and of its forks."""

import os

from raftwerk.client.process import THIS


def test_number_is_that_of_the_process_that_asks() -> None:
    assert os.getpid() == THIS.number
    child = os.fork()
    if child == 0:
        os._exit(7 if os.getpid() == THIS.number else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert os.getpid() == THIS.number
