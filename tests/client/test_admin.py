"""Members, alarms, snapshots, users and roles: on the real etcd, and on raftwerk as far as it serves them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from raftwerk.api import auth_pb2, auth_rpc_pb2, rpc_pb2, status
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, Client
from tests.client.scripted import Step, scripted
from tests.interop.etcd_cluster import running_etcd


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Member]:
    """One of its own: with users it serves nobody else."""
    with running_etcd(tmp_path, 1) as members:
        yield members[0]


def run(member: Member, main: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), Client([member.client_url]) as client:
            await main(client)

    asyncio.run(with_client())


def test_members_are_listed(member: Member) -> None:
    async def main(client: Client) -> None:
        leader = (await client.status()).leader
        assert [one.ID for one in await client.members.list()] == [leader]

    run(member, main)


def test_members_come_and_go(etcd: Member) -> None:
    async def main(client: Client) -> None:
        added = await client.members.add(["http://127.0.0.1:1"], is_learner=True)
        assert added.member.isLearner
        changed = await client.members.update(added.member.ID, ["http://127.0.0.1:2"])
        assert ["http://127.0.0.1:2"] in [list(one.peerURLs) for one in changed]
        with pytest.raises(CallFailed, match="in sync with leader"):
            await client.members.promote(added.member.ID)
        assert len(await client.members.remove(added.member.ID)) == 1

    run(etcd, main)


def test_there_are_no_alarms(etcd: Member) -> None:
    async def main(client: Client) -> None:
        assert not await client.maintenance.alarms()
        assert not await client.maintenance.disarm(
            rpc_pb2.AlarmMember(memberID=1, alarm=rpc_pb2.NOSPACE)
        )
        await client.maintenance.defragment()

    run(etcd, main)


def test_the_leader_is_moved_to_members_alone(etcd: Member) -> None:
    async def main(client: Client) -> None:
        with pytest.raises(CallFailed, match="bad leader transferee") as refused:
            await client.maintenance.move_leader(1)
        leader = (await client.status()).leader
        told = f"1 is no member that votes; these are: {leader:x} (node1)"
        assert refused.value.__notes__ == [told]

    run(etcd, main)


MOVED = rpc_pb2.MoveLeaderResponse(header={"member_id": 7}).SerializeToString()
STATUS = rpc_pb2.StatusResponse(leader=0xC).SerializeToString()
MEMBERS = rpc_pb2.MemberListResponse(
    members=[
        {"ID": 0xB, "name": "b", "clientURLs": ["http://b:1"]},
        {"ID": 0xC, "name": "c", "clientURLs": ["http://c:1", "http://c:2"]},
        {"ID": 0xD, "isLearner": True},
    ]
).SerializeToString()


async def moved(*steps: Step) -> tuple[list[int], CallFailed | None]:
    """Three endpoints, the first two not the leader's; steps: of the third. How many calls each got, and how it ended."""
    no = status.NOT_LEADER
    async with scripted(no) as first, scripted(no) as second, scripted(*steps) as third:
        servers = (first, second, third)
        async with Client([server.endpoint for server in servers], exactly_once=False) as client:
            refused = None
            try:
                await client.maintenance.move_leader(0xB)
            except CallFailed as caught:
                refused = caught
        return [len(server.paths) for server in servers], refused


def test_the_leader_that_has_to_be_asked_is_found_among_the_endpoints() -> None:
    assert asyncio.run(moved(MOVED)) == ([1, 1, 1], None)


@pytest.mark.parametrize(
    ("steps", "note"),
    [
        (
            [STATUS, MEMBERS],
            "the leader is c (c), at http://c:1, http://c:2: name that endpoint",
        ),
        (
            [status.NOT_PERMITTED],
            "no endpoint that answers is the leader's, and none knows where that is: name the others too",
        ),
    ],
    ids=["known", "unknown"],
)
def test_where_the_leader_is_is_told_when_it_is_none_of_the_endpoints(
    steps: list[Step], note: str
) -> None:
    asked, refused = asyncio.run(moved(status.NOT_LEADER, *steps))
    assert asked[:2] == [1, 1]
    assert refused is not None
    assert (refused.code, refused.text) == status.NOT_LEADER
    assert refused.__notes__ == [note]


def test_who_may_lead_is_told_when_somebody_else_is_named() -> None:
    """Learners may not."""
    _, refused = asyncio.run(moved(status.BAD_TRANSFEREE, MEMBERS))
    assert refused is not None
    assert (refused.code, refused.text) == status.BAD_TRANSFEREE
    assert refused.__notes__ == ["b is no member that votes; these are: b (b), c (c)"]


def test_leadership_is_moved_whichever_endpoint_comes_first(tmp_path: Path) -> None:
    async def main(members: list[Member]) -> None:
        clients = [Client([member.client_url]) for member in members]
        answers = [await client.status() for client in clients]
        for client in clients:
            client.close()
        leads = [answer.leader == answer.header.member_id for answer in answers]
        leader = members.pop(leads.index(True))
        async with Client([members[0].client_url]) as client:
            with pytest.raises(CallFailed) as refused:
                await client.maintenance.move_leader(answers[leads.index(False)].header.member_id)
            (note,) = refused.value.__notes__
            assert note.endswith(f"({leader.name}), at {leader.client_url}: name that endpoint")
        async with Client([member.client_url for member in (*members, leader)]) as client:
            target = answers[leads.index(False)].header.member_id
            await client.maintenance.move_leader(target)
            assert (await client.status()).leader == target

    with running_etcd(tmp_path, 3) as members:
        asyncio.run(main(list(members)))


def test_a_snapshot_is_whole(etcd: Member) -> None:
    async def main(client: Client) -> None:
        await client.put(b"in the snapshot", b"x" * 5000)
        data = b"".join([piece async for piece in client.maintenance.snapshot()])
        assert len(data) % 512 == 32, "pages and a digest"
        assert b"in the snapshot" in data

    run(etcd, main)


def test_users_roles_and_tokens(etcd: Member) -> None:
    async def main(client: Client) -> None:
        auth = client.auth
        await auth.user_add("root", "secret")
        await auth.role_add("root")
        await auth.user_grant_role("root", "root")
        await auth.user_add("reader", "letters")
        await auth.role_add("read")
        await auth.role_grant("read", "READ", b"open/", prefix=True)
        await auth.user_grant_role("reader", "read")
        await client.put(b"open/a", b"1")
        assert not await auth.is_enabled()
        await auth.enable()
        login = ("root", "secret")
        async with Client([etcd.client_url], credentials=login) as root:
            assert await root.auth.is_enabled()
            assert sorted(await root.auth.users()) == ["reader", "root"]
            assert sorted(await root.auth.roles()) == ["read", "root"]
            assert list(await root.auth.user_roles("reader")) == ["read"]
            (permission,) = await root.auth.role_permissions("read")
            assert permission == auth_pb2.Permission(
                permType=auth_pb2.Permission.READ, key=b"open/", range_end=b"open0"
            )
            await read_and_fail_to_write(etcd)
            await root.auth.role_revoke("read", b"open/", prefix=True)
            await root.auth.user_change_password("reader", "other")
            await root.auth.user_revoke_role("reader", "read")
            await root.auth.role_delete("read")
            await root.auth.user_delete("reader")
            await root.auth.disable()
        assert not await auth.is_enabled()

    run(etcd, main)


async def read_and_fail_to_write(etcd: Member) -> None:
    async with Client([etcd.client_url], credentials=("reader", "letters")) as reader:
        assert await reader.get(b"open/a") == b"1"
        async with reader.watch(b"open/", prefix=True, start_revision=2) as events:
            assert (await anext(events)).key == b"open/a"
        with pytest.raises(CallFailed, match="permission denied"):
            await reader.put(b"open/a", b"2")
        with pytest.raises(CallFailed, match="permission denied"):
            await reader.get(b"closed")


TOKEN = auth_rpc_pb2.AuthenticateResponse(token="abc.1").SerializeToString()
PIECE = rpc_pb2.SnapshotResponse(blob=b"all of it").SerializeToString()


async def snapshot_after(*refusals: status.Status) -> tuple[list[str], bytes]:
    """The methods that were called, and what came in the end."""
    steps = [step for refusal in refusals for step in (TOKEN, refusal)]
    async with scripted(*steps, TOKEN, PIECE) as server:
        async with Client([server.endpoint], credentials=("root", "secret")) as client:
            pieces = [piece async for piece in client.maintenance.snapshot()]
        return [path.rpartition("/")[2] for path in server.paths], b"".join(pieces)


def test_a_snapshot_with_an_expired_token_is_asked_for_again_with_another_one() -> None:
    calls, data = asyncio.run(snapshot_after(status.INVALID_TOKEN))
    assert calls == ["Authenticate", "Snapshot"] * 2
    assert data == b"all of it"


def test_a_snapshot_is_not_asked_for_for_ever() -> None:
    with pytest.raises(CallFailed, match="invalid auth token"):
        asyncio.run(snapshot_after(*[status.INVALID_TOKEN] * 9))
