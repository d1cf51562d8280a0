"""The methods of the API by the names that cases use: "KV.Put"."""

from typing import Final, NamedTuple

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from raftwerk.api import (
    auth_rpc_pb2,
    election_pb2,
    health_pb2,
    lease_pb2,
    lock_pb2,
    rpc_pb2,
    watch_pb2,
)


class Method(NamedTuple):
    """request, response: the classes of its messages."""

    path: str
    request: type[Message]
    response: type[Message]


def _method(descriptor: MethodDescriptor) -> Method:
    return Method(
        f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        GetMessageClass(descriptor.input_type),
        GetMessageClass(descriptor.output_type),
    )


METHODS: Final = {
    f"{service.name}.{method.name}": _method(method)
    for module in (
        rpc_pb2,
        watch_pb2,
        lease_pb2,
        lock_pb2,
        election_pb2,
        auth_rpc_pb2,
        health_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
