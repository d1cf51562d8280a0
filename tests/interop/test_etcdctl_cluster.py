"""What etcdctl prints of the cluster: the same tables and fields as for etcd, with each member's own numbers."""

import json
import re
from collections.abc import Iterator, Sequence

import pytest

from raftwerk.api import rpc_pb2
from raftwerk.cli.cluster import LocalCluster, Member
from tests.interop.etcdctl import ETCDCTLS, Etcdctl

Pair = tuple[Etcdctl, Etcdctl]


@pytest.fixture(scope="module", params=ETCDCTLS)
def both(
    request: pytest.FixtureRequest, cluster: LocalCluster, etcd: Sequence[Member]
) -> Iterator[Pair]:
    """etcdctl on raftwerk, and on etcd."""
    with (
        Etcdctl(request.param, cluster.members) as on_raftwerk,
        Etcdctl(request.param, etcd) as on_etcd,
    ):
        yield on_raftwerk, on_etcd


def shape(output: str) -> list[str]:
    """Its lines, in order, with numbers, sizes and ids replaced by what they are."""
    text = re.sub(r"\b[0-9a-f]{13,16}\b", "ID", output)
    text = re.sub(r"\d+(\.\d+)? [kM]?B", "SIZE", text)
    text = re.sub(r"\d+(\.\d+)?[mµ]s", "DURATION", text)
    text = re.sub(r"\b3\.\d+\.\d+\b", "VERSION", text)
    text = re.sub(r"\b(true|false)\b", "BOOL", text)
    text = re.sub(r"(?<![a-z])\d+\b", "N", text)
    text = re.sub(r"-+", "-", text)
    return sorted(re.sub(r" +", " ", line) for line in text.splitlines())


@pytest.mark.parametrize(
    "command",
    [
        "member list",
        "member list -w table",
        "member list -w fields",
        "@ endpoint status",
        "@ endpoint status -w table",
        "endpoint status --cluster -w table",
        "endpoint hashkv --cluster",
        "endpoint hashkv -w table",
        "endpoint health -w table",
    ],
)
def test_output_has_the_shape_of_etcds(both: Pair, command: str) -> None:
    on_raftwerk, on_etcd = (etcdctl.run(command) for etcdctl in both)
    assert shape(on_raftwerk.stdout) == shape(on_etcd.stdout)
    assert shape(on_raftwerk.stderr) == shape(on_etcd.stderr)
    assert on_raftwerk.code == on_etcd.code == 0


def fields(value: object) -> object:
    """The names in a JSON value, without what they stand for (dbSizeInUse is left out of it while it is 0)."""
    if isinstance(value, dict):
        return {name: fields(item) for name, item in value.items() if name != "dbSizeInUse"}
    if isinstance(value, list):
        return [fields(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize(
    "command",
    [
        "member list -w json",
        "endpoint status --cluster -w json",
        "endpoint hashkv --cluster -w json",
        "endpoint health --cluster -w json",
    ],
)
def test_json_has_etcds_fields(both: Pair, command: str) -> None:
    for etcdctl in both:
        etcdctl.clients[0].seed()
    on_raftwerk, on_etcd = (json.loads(etcdctl.raw(command)[1]) for etcdctl in both)
    assert fields(on_raftwerk) == fields(on_etcd)


def test_members_agree_on_who_leads(both: Pair) -> None:
    on_raftwerk, _ = both
    statuses = json.loads(on_raftwerk.raw("endpoint status --cluster -w json")[1])
    leaders = {status["Status"]["leader"] for status in statuses}
    members = {status["Status"]["header"]["member_id"] for status in statuses}
    assert len(leaders) == 1
    assert leaders < members
    assert len(members) == 3


def test_members_agree_on_the_hash(both: Pair) -> None:
    on_raftwerk, _ = both
    on_raftwerk.clients[0].seed()
    revision = on_raftwerk.clients[0].status(rpc_pb2.StatusRequest()).header.revision
    hashes = json.loads(on_raftwerk.raw(f"endpoint hashkv --cluster --rev={revision} -w json")[1])
    assert len({answer["HashKV"]["hash"] for answer in hashes}) == 1
    assert len(hashes) == 3


def test_member_list_names_every_member(both: Pair) -> None:
    on_raftwerk, _ = both
    listed = json.loads(on_raftwerk.raw("member list -w json")[1])["members"]
    assert sorted((one["name"], one["peerURLs"], one["clientURLs"]) for one in listed) == [
        (one.name, [f"http://127.0.0.1:{one.peer_port}"], [one.client_url])
        for one in on_raftwerk.members
    ]


def test_protobuf_output_is_the_response(both: Pair) -> None:
    responses = []
    for etcdctl in both:
        etcdctl.clients[1].put(rpc_pb2.PutRequest(key=b"protobuf", value=b"1"))
        response = rpc_pb2.RangeResponse.FromString(
            etcdctl.raw("get protobuf -w protobuf", at=1)[1]
        )
        responses.append((response.count, response.kvs[0].key, response.kvs[0].value))
        assert response.header.cluster_id
    assert responses[0] == responses[1] == (1, b"protobuf", b"1")
