"""The network: what may happen to a message."""

from raftwerk.raft.messages import Message, TimeoutNow
from raftwerk.sim.coverage import Coverage
from raftwerk.sim.network import NetworkOptions, SimNetwork
from raftwerk.sim.trace import Trace
from raftwerk.sim.world import World


class Setting:
    """A network, and the terms of what arrived."""

    def __init__(self, options: NetworkOptions) -> None:
        self.world = World(1)
        self.arrived: list[int] = []
        self.network = SimNetwork(
            self.world, options, Trace(self.world), Coverage(), self._on_message
        )

    def _on_message(self, sender: int, to: int, message: Message) -> None:
        assert (sender, to) == (1, 2)
        self.arrived.append(message.term)

    def send(self, count: int, first: int = 0) -> None:
        for term in range(first, first + count):
            self.network.send(1, 2, [TimeoutNow(term, 1)])

    def run(self) -> list[int]:
        self.world.run_until(self.world.now_us + 10_000_000)
        return self.arrived


def test_good_network_delivers_everything_once() -> None:
    setting = Setting(NetworkOptions())
    setting.send(50)
    assert sorted(setting.run()) == list(range(50))


def test_fifo_links_keep_the_order_and_others_do_not() -> None:
    setting = Setting(NetworkOptions(is_fifo=True))
    setting.send(50)
    assert setting.run() == list(range(50))
    setting = Setting(NetworkOptions())
    setting.send(50)
    assert setting.run() != list(range(50))


def test_messages_are_lost_and_duplicated_as_often_as_wanted() -> None:
    setting = Setting(NetworkOptions(loss=0.5))
    setting.send(200)
    assert 60 < len(setting.run()) < 140
    setting = Setting(NetworkOptions(duplication=1.0))
    setting.send(20)
    assert len(setting.run()) == 40


def test_cut_link_loses_what_is_under_way_until_it_is_joined_as_often() -> None:
    setting = Setting(NetworkOptions())
    setting.send(1)
    setting.network.cut([(1, 2)])
    setting.network.cut([(1, 2)])
    setting.network.join([(1, 2)])
    setting.send(1, first=1)
    assert setting.run() == []
    setting.network.join([(1, 2)])
    setting.send(1, first=2)
    assert setting.run() == [2]


def test_clogged_link_delivers_later() -> None:
    setting = Setting(NetworkOptions())
    setting.network.clog([(1, 2)])
    setting.send(3)
    assert setting.run() == []
    setting.network.unclog([(1, 2)])
    assert sorted(setting.run()) == [0, 1, 2]


def test_healed_network_is_good() -> None:
    setting = Setting(NetworkOptions(loss=1.0))
    setting.network.cut([(1, 2)])
    setting.network.clog([(1, 2)])
    setting.network.heal()
    setting.send(3)
    assert sorted(setting.run()) == [0, 1, 2]
