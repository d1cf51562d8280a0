"""What a node says of itself and of the members of its cluster: status, and the names and URLs that members publish."""

from dataclasses import dataclass
from typing import NamedTuple

from raftwerk.kv.commands import PublishMember
from raftwerk.kv.machine import KvMachine
from raftwerk.raft.membership import Membership
from raftwerk.raft.types import Index, NodeId, Term
from raftwerk.runtime import identifiers
from raftwerk.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What the API and the metrics say of this node. Sizes in bytes; leader_id 0: nobody is known to lead."""

    name: str
    cluster_id: int
    node_id: NodeId
    leader_id: NodeId
    role: str
    current_term: Term
    snapshot_index: Index
    last_index: Index
    commit_index: Index
    last_applied: Index
    is_learner: bool
    store_bytes: int
    store_in_use_bytes: int


class MemberInfo(NamedTuple):
    """One member of the cluster. name "" and no client_urls: it has not published itself yet."""

    node_id: NodeId
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool


class Members:
    """The cluster as the settings know it, and as the members made themselves known through the log."""

    def __init__(self, settings: Settings, node_id: NodeId, machine: KvMachine) -> None:
        self._settings = settings
        self._machine = machine
        self.ids = identifiers.node_ids(settings)
        """By name."""
        self._names = {number: name for name, number in self.ids.items()}
        self.publication = PublishMember(
            node_id,
            settings.name,
            settings.initial_advertise_peer_urls,
            settings.advertise_client_urls,
        )
        """What this node wants known of itself."""

    @property
    def is_published(self) -> bool:
        """Whether the replicated state says of this node what it wants known."""
        return self.publication in self._machine.members.all()

    def listed(self, membership: Membership) -> list[MemberInfo]:
        """The members, by node id, as far as they have published themselves."""
        published = {member.node_id: member for member in self._machine.members.all()}
        infos = []
        for number in membership.nodes:
            member = published.get(number)
            is_learner = number in membership.learners
            if member is None:
                urls = self._settings.initial_cluster.get(self._names.get(number, ""), ())
                infos.append(MemberInfo(number, "", urls, (), is_learner))
            else:
                infos.append(
                    MemberInfo(
                        number, member.name, member.peer_urls, member.client_urls, is_learner
                    )
                )
        return infos

    def name(self, node_id: int | str) -> str:
        """For people. Words stay what they are; a node that nobody named is its number in hexadecimal digits."""
        return self._names.get(node_id, f"{node_id:x}") if isinstance(node_id, int) else node_id
