"""The client that waits: the same answers as the asyncio client, whose work it is."""

import asyncio
import gc
import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

import raftwerk
from raftwerk import client as aio
from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, EventKind, LeaseLost, OutcomeUnknown
from raftwerk.client.txn import get, put, version
from raftwerk.errors import RaftwerkError, UsageError
from raftwerk.sync import Client
from tests.client.scripted import closed_endpoint
from tests.conftest import running_cluster


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """Of a single node."""
    with running_cluster(tmp_path_factory.mktemp("sync"), 1) as cluster:
        yield cluster.members[0]


@pytest.fixture
def client(member: Member) -> Iterator[Client]:
    with Client([member.client_url]) as client:
        yield client


def test_keys(client: Client) -> None:
    client.put(b"k", b"1")
    assert client.has_exactly_once
    assert client.get(b"k") == b"1"
    client.put(b"k2", b"2")
    assert [kv.value for kv in client.scan(b"k", prefix=True)] == [b"1", b"2"]
    assert client.count(b"k", prefix=True) == 2
    assert client.range(rpc_pb2.RangeRequest(key=b"k")).count == 1
    assert client.delete(b"k", prefix=True).deleted == 2


def test_a_transaction(client: Client) -> None:
    transaction = client.transaction().when(version(b"txn").equals(0))
    transaction.then(put(b"txn", b"1")).otherwise(get(b"txn"))
    first, second = transaction.commit(), transaction.commit()
    assert (first.succeeded, second.succeeded) == (True, False)
    assert client.get(b"txn") == b"1"
    assert client.txn(rpc_pb2.TxnRequest()).succeeded


def test_a_watch(client: Client) -> None:
    with client.watch(b"w/", prefix=True) as events:
        client.put(b"w/1", b"x")
        client.delete(b"w/1")
        assert [next(events).kind for _ in range(2)] == [EventKind.PUT, EventKind.DELETE]


def test_a_lease_and_a_lock(client: Client) -> None:
    with client.lease(30) as lease:
        client.put(b"leased", b"", lease=lease.id)
        client.put(b"leased", b"v", ignore_lease=True)
        assert client.lease_time_to_live(lease.id, keys=True).keys == [b"leased"]
        client.put(b"leased", b"", ignore_value=True, lease=lease.id)
        assert client.get(b"leased") == b"v"
    assert client.get(b"leased") is None
    with client.lock(b"lock") as lock:
        assert lock.is_held
    assert not lock.is_held
    granted = client.lease_grant(30)
    assert client.lease_keep_alive_once(granted.ID) == granted.TTL
    with client.keep_alive(granted.ID) as kept:
        assert (kept.id, kept.is_lost) == (granted.ID, False)
    assert client.lease_revoke(granted.ID)


def test_a_lock_and_a_leadership_can_be_tried(client: Client) -> None:
    told = "tried was not free within 0 s"
    try_to_lock = partial(client.lock, b"tried", wait_s=0)
    with try_to_lock(), pytest.raises(TimeoutError, match=told), try_to_lock():
        pass
    try_to_lead = partial(client.lead, b"tried", b"me", wait_s=0)
    with try_to_lead(), pytest.raises(TimeoutError, match=told), try_to_lead():
        pass


def test_a_lock_in_two_threads_is_held_by_one(client: Client) -> None:
    holders: list[str] = []

    def work() -> None:
        with client.lock(b"threads"):
            holders.append("in")
            client.put(b"something", b"")
            holders.append("out")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert holders == ["in", "out"] * 3


def test_a_lost_lock_is_told_at_the_end(client: Client) -> None:
    def lose() -> None:
        with client.lock(b"lost", ttl_s=2) as lock:
            client.lease_revoke(lock.lease.id)
            while lock.is_held:
                client.get(b"lost")

    with pytest.raises(LeaseLost):
        lose()


def test_a_leader(client: Client) -> None:
    with client.lead(b"boss", b"me"):
        leader = client.leader(b"boss")
        assert leader is not None
        assert leader.value == b"me"
    assert client.leader(b"boss") is None


def test_the_cluster(client: Client) -> None:
    assert [one.ID for one in client.member_list()] == [client.status().leader]
    client.compact(client.put(b"compact", b"").header.revision)


def test_refusals_come_as_they_are(client: Client) -> None:
    with pytest.raises(CallFailed, match="key is not provided"):
        client.put(b"", b"")


def test_a_closed_client_says_so(member: Member) -> None:
    client = Client([member.client_url])
    client.close()
    client.close()
    with pytest.raises(UsageError):
        client.get(b"k")
    with pytest.raises(UsageError), client.lock(b"k"):
        pass


def test_calls_that_race_with_close_all_end() -> None:
    """Each comes back, or is refused, or is told that it was cut off; none waits for ever."""

    async def nothing() -> None:
        """As short as a call can be: as many as possible are between two steps when the client closes."""

    def call_until_closed(client: Client) -> None:
        with suppress(UsageError, OutcomeUnknown):
            while True:
                client.run(nothing())

    for _ in range(20):
        client = Client([closed_endpoint()])
        threads = [
            threading.Thread(target=call_until_closed, args=(client,), daemon=True)
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        client.close()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)


def test_close_cuts_off_what_does_not_end_by_itself() -> None:
    client = Client([closed_endpoint()])
    has_begun = threading.Event()
    errors: list[BaseException] = []

    async def endless() -> None:
        has_begun.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            client.run(endless())
        except RaftwerkError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    has_begun.wait()
    client.close()
    thread.join()
    assert [type(error) for error in errors] == [OutcomeUnknown]


def test_blocks_may_be_left_after_the_client_was_closed(member: Member) -> None:
    client = Client([member.client_url])
    with client.watch(b"k") as events:
        client.close()
        with pytest.raises(UsageError):
            next(events)
    assert not client._thread.is_alive()


def test_a_closed_client_loses_its_lock(member: Member) -> None:
    client = Client([member.client_url])
    with client.lock(b"closed") as lock:
        client.close()
        assert not lock.is_held


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As a program is that was started from a terminal; of one in the background a shell has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_interrupt_ends_waiting_for_a_lock(client: Client) -> None:
    """Here and in the queue at the server: nobody waits behind one who has gone."""

    def interrupt() -> None:
        while client.count(b"interrupted/", prefix=True) < 2:
            pass
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with client.lock(b"interrupted"):
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt), client.lock(b"interrupted"):
            pass
        thread.join()
        assert client.count(b"interrupted/", prefix=True) == 1


def test_leaders_are_observed(client: Client) -> None:
    with client.observe(b"observed") as leaders:
        for name in (b"a", b"b"):
            with client.lead(b"observed", name):
                assert next(leaders).value == name


def test_leases_are_looked_at(client: Client) -> None:
    with client.lease(30) as lease:
        assert client.lease_time_to_live(lease.id, keys=True).grantedTTL == 30
        assert lease.id in client.lease_list()


def test_the_hash_over_all_keys(client: Client) -> None:
    assert client.hash_kv().hash == client.run(client.aio.hash_kv()).hash


BLOCKS: dict[str, Callable[[Client], Any]] = {
    "lock": lambda client: client.lock(b"name"),
    "lead": lambda client: client.lead(b"name", b"me"),
    "lease": lambda client: client.lease(10),
    "keep_alive": lambda client: client.keep_alive(7),
    "watch": lambda client: client.watch(b"key"),
    "observe": lambda client: client.observe(b"name"),
}
USES: dict[str, tuple[type[Exception], Callable[[Any], object]]] = {
    "for": (UsageError, list),
    "next": (UsageError, next),
    "attribute": (AttributeError, lambda block: block.id),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_what_is_for_a_block_and_was_dropped_is_warned_of(name: str) -> None:
    with (
        Client([closed_endpoint()]) as client,
        pytest.warns(RuntimeWarning, match=rf"^never entered: .* with client\.{name}\(") as warned,
    ):
        BLOCKS[name](client)
    assert [one.filename for one in warned] == [__file__]


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("use", USES)
def test_what_is_for_a_block_and_is_used_without_one_is_one_clear_error(
    name: str, use: str
) -> None:
    """Warnings are errors in tests: there is none beside it."""
    kind, action = USES[use]
    told = rf"it is had inside its block: with client\.{name}\("
    with Client([closed_endpoint()]) as client, pytest.raises(kind, match=told):
        action(BLOCKS[name](client))
    gc.collect()


def test_what_cannot_be_had_is_told_before_the_block() -> None:
    with Client([closed_endpoint()]) as client, pytest.raises(UsageError, match="a lock is bytes"):
        client.lock("x")  # type: ignore[arg-type]


def test_nothing_is_had_twice() -> None:
    with Client([closed_endpoint()], timeout_s=0.1) as client:
        lock = client.lock(b"name")
        with pytest.raises(CallFailed), lock:
            pass
        with pytest.raises(UsageError, match=r"^a second time: call the method again"), lock:
            pass


def test_every_method_of_the_asyncio_client_is_here() -> None:
    """Or another name: for an election there are lead, leader and observe."""
    there = {name for name in vars(aio.Client) if not name.startswith("_")}
    here = {name for name in vars(Client) if not name.startswith("_")}
    assert there - here == {"election"}


def parameters(method: Any) -> list[inspect.Parameter]:
    return [*inspect.signature(method).parameters.values()]


@pytest.mark.parametrize(
    "name", [name for name in vars(Client) if callable(getattr(aio.Client, name, None))]
)
def test_a_method_takes_what_that_of_the_asyncio_client_takes(name: str) -> None:
    assert parameters(getattr(Client, name)) == parameters(getattr(aio.Client, name))


def test_a_range_is_read_in_pages(client: Client) -> None:
    client.put(b"page/1", b"1")
    client.put(b"page/2", b"2")
    assert [kv.value for kv in client.scan(b"page/", prefix=True, page=1)] == [b"1", b"2"]


def test_the_asyncio_client_has_a_short_name() -> None:
    assert raftwerk.Client is aio.Client
    assert "Client" in dir(raftwerk)
    with pytest.raises(AttributeError):
        _ = raftwerk.Nothing  # type: ignore[attr-defined]
