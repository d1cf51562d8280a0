"""The .proto files: the generated modules are up to date, and names, numbers and types are etcd's.

etcd_api.txt lists etcd's API (3.4) as it stands in the descriptors of another Python client, aetcd 1.0: a line for each message
(field, number, type), enumeration (name, number) and service (method, request, answer).
"""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
)

from raftwerk.api import kv_pb2, rpc_pb2

API = Path(rpc_pb2.__file__).parent
PROTOS = sorted(path.name for path in API.glob("*.proto"))

Entries = list[str]

NEWER = {
    "HashKVResponse": ["hash_revision 4 int64"],
    "SnapshotResponse": ["version 4 string"],
    "StatusResponse": ["storageVersion 11 string", "dbSizeQuota 12 int64"],
}
"""Fields that came with etcd 3.6."""


def table() -> dict[str, Entries]:
    lines = Path(__file__).with_name("etcd_api.txt").read_text().splitlines()
    named = (
        line.split(": ", 1) if ": " in line else (line.removesuffix(":"), "") for line in lines
    )
    return {name: [entry for entry in text.strip().split(", ") if entry] for name, text in named}


def field_entry(field: FieldDescriptorProto) -> str:
    kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    name = field.type_name.rpartition(".")[2] or kind
    repeated = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    return f"{field.name} {field.number} {repeated}{name}"


def enum_entries(enum: EnumDescriptorProto) -> Entries:
    return [f"{value.name} {value.number}" for value in enum.value]


def method_entry(method: MethodDescriptorProto) -> str:
    sent = "stream " * method.client_streaming + method.input_type.rpartition(".")[2]
    answered = "stream " * method.server_streaming + method.output_type.rpartition(".")[2]
    return f"{method.name} {sent} -> {answered}"


def message_entries(message: DescriptorProto, prefix: str = "") -> dict[str, Entries]:
    name = prefix + message.name
    entries = {name: [field_entry(field) for field in message.field]}
    for enum in message.enum_type:
        entries[f"{name}.{enum.name}"] = enum_entries(enum)
    for nested in message.nested_type:
        entries |= message_entries(nested, f"{name}.")
    return entries


FILES = [
    FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb) for module in (kv_pb2, rpc_pb2)
]


def ours() -> dict[str, Entries]:
    entries: dict[str, Entries] = {}
    for file in FILES:
        for message in file.message_type:
            entries |= message_entries(message)
        for enum in file.enum_type:
            entries[enum.name] = enum_entries(enum)
    return entries


def services() -> dict[str, Entries]:
    return {
        service.name: [method_entry(method) for method in service.method]
        for file in FILES
        for service in file.service
    }


ETCD = table()


@pytest.mark.parametrize("name", sorted(ours()))
def test_message_or_enum_is_that_of_etcd(name: str) -> None:
    assert sorted(ours()[name]) == sorted(ETCD[name] + NEWER.get(name, []))


@pytest.mark.parametrize("name", sorted(services()))
def test_methods_are_those_of_etcd(name: str) -> None:
    assert services()[name]
    assert set(services()[name]) <= set(ETCD[f"service {name}"])


def test_packages_are_those_of_etcd() -> None:
    """They stand in the path of every call."""
    assert kv_pb2.DESCRIPTOR.package == "mvccpb"
    assert rpc_pb2.DESCRIPTOR.package == "etcdserverpb"


def test_generated_modules_are_up_to_date(tmp_path: Path) -> None:
    """Else: make proto."""
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{API.parent.parent}"),
            f"--python_out={tmp_path}",
            *(f"raftwerk/api/{name}" for name in PROTOS),
        ],
        check=True,
        cwd=API.parent.parent,
    )
    for name in PROTOS:
        module = name.removesuffix(".proto") + "_pb2.py"
        generated = (tmp_path / "raftwerk" / "api" / module).read_text()
        assert (API / module).read_text() == generated, f"{module} is not what {name} says"
