"""What members make known of themselves."""

import msgspec

from raftwerk.kv.commands import PublishMember, encode
from raftwerk.kv.results import PublishResult
from tests.kv.rig import Rig

FIRST = PublishMember(2, "two", ("http://p",), ("http://c",))
OTHER = PublishMember(1, "one", (), ())


def test_members_are_those_that_published_themselves_last() -> None:
    rig = Rig()
    changed = msgspec.structs.replace(FIRST, name="zwei")
    (result,) = rig.machine.apply([encode(FIRST)], 1, b"position")
    assert result == PublishResult(1)
    rig.machine.apply([encode(OTHER), encode(changed)], 3, b"position")
    assert rig.machine.members.all() == [OTHER, changed]


def test_all_are_forgotten_together() -> None:
    rig = Rig()
    rig.machine.apply([encode(FIRST), encode(OTHER)], 2, b"position")
    rig.machine.members.forget()
    assert rig.machine.members.all() == []
