"""The port that the services stand on: the real node and the small one of these tests have everything it asks for."""

import inspect

import pytest

from raftwerk.runtime.members import NodeStatus
from raftwerk.runtime.node import Node as RealNode
from raftwerk.server.port import Node, StatusInfo
from tests.server.fakes import FakeLoop, FakeNode

OPERATIONS = [name for name in vars(Node) if not name.startswith("_")]
PROPERTIES = [name for name, what in vars(Node).items() if isinstance(what, property)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_real_node_has_each_operation(name: str) -> None:
    ours, asked = inspect.getattr_static(RealNode, name), inspect.getattr_static(Node, name)
    assert inspect.isdatadescriptor(ours) is isinstance(asked, property)
    if not isinstance(asked, property):
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(asked).parameters)


@pytest.mark.parametrize("name", [*OPERATIONS, *Node.__annotations__])
def test_small_node_has_each_operation(name: str) -> None:
    node = FakeNode(FakeLoop())
    assert callable(getattr(node, name)) is (name in OPERATIONS and name not in PROPERTIES)


@pytest.mark.parametrize("name", [name for name in vars(StatusInfo) if not name.startswith("_")])
def test_status_has_each_field(name: str) -> None:
    assert name in NodeStatus.__dataclass_fields__
