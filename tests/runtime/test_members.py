"""What a node says of itself and of its cluster."""

from dataclasses import replace

from raftwerk.kv.commands import PublishMember, encode
from raftwerk.kv.machine import KvMachine
from raftwerk.raft.membership import Membership
from raftwerk.runtime.identifiers import node_ids
from raftwerk.runtime.members import MemberInfo, Members
from raftwerk.runtime.settings import Settings
from raftwerk.storage.memory import MemoryStore

SETTINGS = replace(
    Settings(),
    name="a",
    initial_advertise_peer_urls=("http://a:1",),
    advertise_client_urls=("http://a:2",),
    initial_cluster={"a": ("http://a:1",), "b": ("http://b:1",)},
)
IDS = node_ids(SETTINGS)


def members(machine: KvMachine) -> Members:
    return Members(SETTINGS, IDS["a"], machine)


def publish(machine: KvMachine, member: PublishMember) -> None:
    machine.apply([encode(member)], 1, b"position")


def test_node_is_published_when_the_replicated_state_says_all_that_it_wants_known() -> None:
    machine = KvMachine(MemoryStore())
    ours = members(machine)
    assert not ours.is_published
    publish(machine, PublishMember(IDS["a"], "a", ("http://a:1",), ("http://old:2",)))
    assert not ours.is_published
    publish(machine, ours.publication)
    assert ours.is_published


def test_member_that_did_not_publish_itself_has_no_name_and_the_peer_urls_of_the_settings() -> None:
    machine = KvMachine(MemoryStore())
    ours = members(machine)
    publish(machine, ours.publication)
    first, second = sorted(IDS.values())
    listed = {one.node_id: one for one in ours.listed(Membership((first,), learners=(second,)))}
    is_learner = {first: False, second: True}
    a, b = IDS["a"], IDS["b"]
    assert listed[a] == MemberInfo(a, "a", ("http://a:1",), ("http://a:2",), is_learner[a])
    assert listed[b] == MemberInfo(b, "", ("http://b:1",), (), is_learner[b])


def test_names_for_people() -> None:
    ours = members(KvMachine(MemoryStore()))
    assert (ours.name(IDS["b"]), ours.name(255), ours.name("words")) == ("b", "ff", "words")
