"""A fork has a copy of the client, and not what works for it: it is told so, and waits for nothing."""

import subprocess
import sys

import pytest

from raftwerk.cli.cluster import Member

HEAD = """
import asyncio, os, signal, sys
from raftwerk.errors import UsageError

endpoint = sys.argv[1]

def ask(action):
    try:
        print("got", action(), flush=True)
    except UsageError as error:
        print(error, flush=True)

def is_child():
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends one that waits for ever
    else:
        os.waitpid(child, 0)
    return child == 0
"""
SYNC = """
from raftwerk.sync import Client

client = Client([endpoint])
with client:
    client.put(b"forked", b"1")
    with client.lock(b"forked") as lock:
        if is_child():
            ask(lambda: client.get(b"forked"))
            ask(lambda: client.put(b"forked", b"2"))
            ask(lambda: client.transaction().commit())
            ask(lambda: list(client.scan(b"forked")))
            ask(lambda: client.run(client.aio.status()))
            ask(client.lease(10).__enter__)
            ask(lambda: lock.is_held)
            with Client([endpoint]) as own:
                ask(lambda: own.get(b"forked"))
        else:
            ask(lambda: lock.is_held)
if client._process != os.getpid():
    print("left", flush=True)
"""
ASYNC = """
from raftwerk import Client

client, unused = Client([endpoint]), Client([endpoint])
loop = asyncio.new_event_loop()
loop.run_until_complete(client.put(b"forked", b"1"))
if is_child():
    ask(lambda: loop.run_until_complete(client.get(b"forked")))
    ask(lambda: asyncio.run(client.get(b"forked")))
    ask(lambda: asyncio.run(unused.get(b"forked")))
    client.close()
    asyncio.run(client.__aexit__(None, None, None))
    os._exit(0)
ask(lambda: loop.run_until_complete(client.get(b"forked")))
client.close()
loop.run_until_complete(asyncio.sleep(0))
loop.close()
"""
TOLD = (
    "this client was made in another process, of which this one is a fork: make one in each process"
)


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        (SYNC, [TOLD] * 7 + ["got b'1'", "left", "got True"]),
        (ASYNC, [TOLD] * 2 + ["got b'1'"] * 2),
    ],
    ids=["sync", "asyncio"],
)
def test_a_client_that_was_forked_says_so(member: Member, program: str, lines: list[str]) -> None:
    """And the other process has lost nothing by it."""
    command = [sys.executable, "-c", HEAD + program, member.client_url]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.stdout.splitlines(), told.returncode) == (lines, 0), told.stderr
