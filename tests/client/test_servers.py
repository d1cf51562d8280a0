"""The client's methods against raftwerk and against etcd: the same answers, and how calls end when the process dies."""

import asyncio
import os
import signal
from itertools import count
from pathlib import Path

import pytest

from raftwerk.api import rpc_pb2, status
from raftwerk.cli.cluster import Member
from raftwerk.client import CallFailed, Client, OutcomeUnknown
from tests.conftest import StartCluster
from tests.interop.etcd_cluster import running_etcd


def test_put_get_delete(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            first = await client.put(b"pgd", b"1")
            second = await client.put(b"pgd", b"2", prev_kv=True)
            assert second.header.revision == first.header.revision + 1
            assert second.prev_kv.value == b"1"
            assert await client.get(b"pgd") == b"2"
            assert await client.get(b"pgd", serializable=True) == b"2"
            deleted = await client.delete(b"pgd", prev_kv=True)
            assert (deleted.deleted, deleted.prev_kvs[0].value) == (1, b"2")
            assert await client.get(b"pgd") is None

    asyncio.run(main())


def test_range_and_delete_of_a_prefix(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            for number in range(5):
                await client.put(b"range/%d" % number, b"x")
            request = rpc_pb2.RangeRequest(key=b"range/", range_end=b"range0", limit=2)
            response = await client.range(request)
            assert [kv.key for kv in response.kvs] == [b"range/0", b"range/1"]
            assert (response.count, response.more) == (5, True)
            assert (await client.delete(b"range/", b"range0")).deleted == 5

    asyncio.run(main())


def test_txn_takes_the_branch_that_the_comparison_says(member: Member) -> None:
    async def main() -> None:
        compare = rpc_pb2.Compare(key=b"txn", target="CREATE", result="EQUAL", create_revision=0)
        put = rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=b"txn", value=b"1"))
        create = rpc_pb2.TxnRequest(compare=[compare], success=[put])
        async with Client([member.client_url]) as client:
            assert (await client.txn(create)).succeeded
            assert not (await client.txn(create)).succeeded

    asyncio.run(main())


def test_compacted_revision_is_refused(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            old = (await client.put(b"compact", b"1")).header.revision
            new = (await client.put(b"compact", b"2")).header.revision
            await client.compact(new)
            with pytest.raises(CallFailed) as caught:
                await client.range(rpc_pb2.RangeRequest(key=b"compact", revision=old))
            assert (caught.value.code, caught.value.text) == status.COMPACTED
            with pytest.raises(CallFailed, match="mvcc: required revision has been compacted"):
                await client.compact(new)

    asyncio.run(main())


def test_refused_write_is_a_plain_failure(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            with pytest.raises(CallFailed) as caught:
                await client.put(b"", b"value")
            assert (caught.value.code, caught.value.text) == status.EMPTY_KEY

    asyncio.run(main())


def test_members_and_status_describe_the_same_node(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            members = await client.member_list()
            answer = await client.status()
            assert [one.name for one in members] == ["node1"]
            assert list(members[0].clientURLs) == [member.client_url]
            assert answer.leader == answer.header.member_id == members[0].ID
            assert answer.raftAppliedIndex > 0

    asyncio.run(main())


def test_hash_is_stable_until_something_is_written(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            await client.put(b"hash", b"1")
            first = (await client.hash_kv()).hash
            assert (await client.hash_kv()).hash == first
            await client.put(b"hash", b"2")
            assert (await client.hash_kv()).hash != first

    asyncio.run(main())


def is_stopped(pid: int) -> bool:
    """Whether all its threads are: the signal takes a moment."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)


def test_paused_process_leaves_a_write_unknown_and_a_read_failed(member: Member) -> None:
    """SIGSTOP: the kernel takes the request, nobody answers it. The write happens after all when the process goes on."""

    async def main() -> None:
        assert member.process is not None
        async with Client([member.client_url], timeout_s=0.8) as client:
            await client.put(b"paused", b"before")
            os.kill(member.process.pid, signal.SIGSTOP)
            try:
                while not is_stopped(member.process.pid):
                    await asyncio.sleep(0)
                with pytest.raises(OutcomeUnknown) as caught:
                    await client.put(b"paused", b"after")
                with pytest.raises(CallFailed, match="did not answer in time"):
                    await client.get(b"paused")
            finally:
                os.kill(member.process.pid, signal.SIGCONT)
            assert caught.value.code == status.DEADLINE_EXCEEDED
        async with Client([member.client_url]) as client:
            assert await client.get(b"paused") in (b"before", b"after")

    asyncio.run(main())


def test_stopped_member_of_a_cluster_costs_neither_a_read_nor_a_write_its_answer(
    start_cluster: StartCluster,
) -> None:
    """A leader that is stopped, and told nothing: the client goes on elsewhere, and the write is done once."""
    cluster = start_cluster(3)
    leader = cluster.wait_leader()
    others = [one for one in cluster.members if one is not leader]
    endpoints = [one.client_url for one in (leader, *others)]
    assert leader.process is not None
    pid = leader.process.pid

    async def main() -> None:
        async with Client(endpoints) as client, Client(endpoints) as reader:
            first = await client.put(b"stopped", b"before")
            assert await reader.get(b"stopped") == b"before"
            os.kill(pid, signal.SIGSTOP)
            try:
                while not is_stopped(pid):
                    await asyncio.sleep(0)
                read, written = await asyncio.gather(
                    reader.get(b"stopped"), client.put(b"stopped", b"after")
                )
            finally:
                os.kill(pid, signal.SIGCONT)
            assert read in (b"before", b"after")
            assert written.header.revision == first.header.revision + 1
            assert await reader.get(b"stopped") == b"after"
            assert (await reader.status()).header.revision == written.header.revision

    asyncio.run(main())


def test_many_calls_at_once_share_the_connection(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            keys = [b"many/%d" % number for number in range(200)]
            await asyncio.gather(*(client.put(key, key) for key in keys))
            assert await asyncio.gather(*(client.get(key) for key in keys)) == keys

    asyncio.run(main())


class Fates:
    """What became of each write, by the client's word."""

    def __init__(self) -> None:
        self.acknowledged: set[bytes] = set()
        self.unknown: set[bytes] = set()
        self.failed: set[bytes] = set()
        self._is_enough = asyncio.Event()

    async def write_until_killed(self, member: Member) -> None:
        """Eight writers at once; the process is killed under them, and each ends with its first write that failed."""
        async with Client([member.client_url], timeout_s=0.5) as client:
            writers = [asyncio.create_task(self._write(client, name)) for name in range(8)]
            await self._is_enough.wait()
            assert member.process is not None
            member.process.kill()
            await asyncio.gather(*writers)
            member.process.wait()

    async def _write(self, client: Client, name: int) -> None:
        for number in count():
            key = b"%d/%d" % (name, number)
            try:
                await client.put(key, key)
                self.acknowledged.add(key)
            except OutcomeUnknown:
                self.unknown.add(key)
            except CallFailed:
                self.failed.add(key)
                return
            if len(self.acknowledged) > 50:
                self._is_enough.set()


async def keys_of(member: Member) -> set[bytes]:
    async with Client([member.client_url]) as client:
        everything = rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0", keys_only=True)
        return {kv.key for kv in (await client.range(everything)).kvs}


def test_killed_process_leaves_writes_unknown_and_those_that_failed_did_not_happen(
    start_cluster: StartCluster,
) -> None:
    cluster = start_cluster(1)
    (member,) = cluster.members
    fates = Fates()
    asyncio.run(fates.write_until_killed(member))
    cluster.start_all()
    cluster.wait_ready()
    found = asyncio.run(keys_of(member))
    assert fates.acknowledged <= found
    assert fates.unknown, "some were on their way"
    assert not fates.failed & found


def test_killed_etcd_leaves_writes_unknown(tmp_path: Path) -> None:
    fates = Fates()
    with running_etcd(tmp_path, 1) as members:
        asyncio.run(fates.write_until_killed(members[0]))
    assert fates.unknown, "some were on their way"
    assert fates.failed, "those that could not be sent any more"


def test_scan_reads_pages_at_one_revision(member: Member) -> None:
    """Keys that come and go meanwhile do not show."""

    async def main() -> None:
        async with Client([member.client_url]) as client:
            await client.delete(b"scan/", prefix=True)
            keys = [b"scan/%02d" % number for number in range(10)]
            for key in keys:
                await client.put(key, b"old")
            found = []
            async for kv in client.scan(b"scan/", prefix=True, page=3):
                found.append((kv.key, kv.value))
                await client.put(b"scan/99", b"new")
                await client.put(keys[-1], b"new")
                await client.delete(keys[5])
            assert found == [(key, b"old") for key in keys]
            assert await client.count(b"scan/", prefix=True) == 10

    asyncio.run(main())


def test_scan_of_everything_and_of_nothing(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            await client.put(b"something", b"")
            assert [kv.key async for kv in client.scan(b"", prefix=True, keys_only=True)]
            assert not [kv async for kv in client.scan(b"no such/", prefix=True)]

    asyncio.run(main())


def test_scan_fails_when_its_revision_is_compacted(member: Member) -> None:
    async def main() -> None:
        async with Client([member.client_url]) as client:
            for number in range(3):
                await client.put(b"gone/%d" % number, b"")
            found = client.scan(b"gone/", prefix=True, page=1)
            await anext(found)
            response = await client.put(b"gone/9", b"")
            await client.compact(response.header.revision)
            with pytest.raises(CallFailed) as caught:
                await anext(found)
            assert (caught.value.code, caught.value.text) == status.COMPACTED

    asyncio.run(main())
