"""What looks after a cluster: members, alarms, snapshots, users and roles. One method a request, as in etcd's API."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final, TypeVar

from google.protobuf.message import Message

from raftwerk.api import auth_pb2, rpc_pb2, status
from raftwerk.api import auth_rpc_pb2 as rpc
from raftwerk.client import arguments
from raftwerk.client.calls import REFRESHES_MAX, Calls
from raftwerk.client.errors import CallError, CallFailed
from raftwerk.client.fate import Kind
from raftwerk.client.ranges import bounds

CLUSTER: Final = "/etcdserverpb.Cluster/"
MAINTENANCE: Final = "/etcdserverpb.Maintenance/"
AUTH: Final = "/etcdserverpb.Auth/"
DIGEST_BYTES: Final = 32
SECTOR_BYTES: Final = 512
PERMISSIONS: Final = ("READ", "WRITE", "READWRITE")

M = TypeVar("M", bound=Message)


class _Requests:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def _read(self, path: str, request: Message, kind: type[M]) -> M:
        return await self._calls.unary(path, request.SerializeToString(), kind, Kind.READ)

    async def _write(self, path: str, request: Message, kind: type[M]) -> M:
        return await self._calls.unary(path, request.SerializeToString(), kind, Kind.WRITE)


class Members(_Requests):
    """Who belongs to the cluster. Each change returns all members after it."""

    async def list(self) -> Sequence[rpc_pb2.Member]:
        request = rpc_pb2.MemberListRequest(linearizable=True)
        return (
            await self._read(CLUSTER + "MemberList", request, rpc_pb2.MemberListResponse)
        ).members

    async def add(
        self, peer_urls: Sequence[str], *, is_learner: bool = False
    ) -> rpc_pb2.MemberAddResponse:
        """Announce a member, which is started after that."""
        request = arguments.request(
            rpc_pb2.MemberAddRequest, peerURLs=_urls(peer_urls), isLearner=is_learner
        )
        return await self._write(CLUSTER + "MemberAdd", request, rpc_pb2.MemberAddResponse)

    async def remove(self, member_id: int) -> Sequence[rpc_pb2.Member]:
        request = arguments.request(rpc_pb2.MemberRemoveRequest, ID=member_id)
        kind = rpc_pb2.MemberRemoveResponse
        return (await self._write(CLUSTER + "MemberRemove", request, kind)).members

    async def update(self, member_id: int, peer_urls: Sequence[str]) -> Sequence[rpc_pb2.Member]:
        request = arguments.request(
            rpc_pb2.MemberUpdateRequest, ID=member_id, peerURLs=_urls(peer_urls)
        )
        kind = rpc_pb2.MemberUpdateResponse
        return (await self._write(CLUSTER + "MemberUpdate", request, kind)).members

    async def promote(self, member_id: int) -> Sequence[rpc_pb2.Member]:
        """From learner to voter."""
        request = arguments.request(rpc_pb2.MemberPromoteRequest, ID=member_id)
        kind = rpc_pb2.MemberPromoteResponse
        return (await self._write(CLUSTER + "MemberPromote", request, kind)).members


class Maintenance(_Requests):
    async def alarms(self) -> Sequence[rpc_pb2.AlarmMember]:
        request = rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.GET)
        return (await self._read(MAINTENANCE + "Alarm", request, rpc_pb2.AlarmResponse)).alarms

    async def disarm(self, alarm: rpc_pb2.AlarmMember) -> Sequence[rpc_pb2.AlarmMember]:
        """Returns the alarms that were ended. alarm: one of `alarms`."""
        if not isinstance(alarm, rpc_pb2.AlarmMember):
            raise arguments.wrong("alarm", "one of those that alarms() returns", alarm)
        request = rpc_pb2.AlarmRequest(
            action=rpc_pb2.AlarmRequest.DEACTIVATE, memberID=alarm.memberID, alarm=alarm.alarm
        )
        return (await self._write(MAINTENANCE + "Alarm", request, rpc_pb2.AlarmResponse)).alarms

    async def defragment(self) -> None:
        """At the endpoint in use."""
        message = rpc_pb2.DefragmentRequest().SerializeToString()
        kind = rpc_pb2.DefragmentResponse
        await self._calls.unary(MAINTENANCE + "Defragment", message, kind, Kind.REPEATABLE)

    async def move_leader(self, member_id: int) -> None:
        """Have another voter lead. The leader alone does that: it is looked for among the endpoints.

        Raises CallFailed, with a note that tells what to do where the server's words do not.
        """
        request = arguments.request(rpc_pb2.MoveLeaderRequest, targetID=member_id)
        try:
            await self._write(MAINTENANCE + "MoveLeader", request, rpc_pb2.MoveLeaderResponse)
        except CallFailed as refused:
            if refused.text == status.NOT_LEADER.text:
                refused.add_note(await self._where_the_leader_is())
            elif refused.text == status.BAD_TRANSFEREE.text:
                refused.add_note(await self._who_may_lead(member_id))
            raise

    async def _where_the_leader_is(self) -> str:
        with suppress(CallError):
            asked = rpc_pb2.StatusRequest()
            leader = (
                await self._read(MAINTENANCE + "Status", asked, rpc_pb2.StatusResponse)
            ).leader
            for one in await self._members():
                if leader == one.ID:
                    return f"the leader is {_shown(one)}, at {', '.join(one.clientURLs)}: name that endpoint"
        return "no endpoint that answers is the leader's, and none knows where that is: name the others too"

    async def _who_may_lead(self, member_id: int) -> str:
        told = f"{member_id:x} is no member that votes"
        with suppress(CallError):
            voters = [_shown(one) for one in await self._members() if not one.isLearner]
            told += f"; these are: {', '.join(voters)}"
        return told

    async def _members(self) -> Sequence[rpc_pb2.Member]:
        """As the endpoint in use knows them, with a leader or without."""
        request = rpc_pb2.MemberListRequest()
        kind = rpc_pb2.MemberListResponse
        return (await self._read(CLUSTER + "MemberList", request, kind)).members

    async def snapshot(self) -> AsyncIterator[bytes]:
        """The state of the endpoint in use, in pieces, its digest last. Raises CallFailed when it breaks off or is damaged."""
        digest, size, held = sha256(), 0, b""
        refreshes = 0
        while True:
            stream = await self._calls.open(MAINTENANCE + "Snapshot")
            try:
                stream.send(rpc_pb2.SnapshotRequest())
                stream.half_close()
                while isinstance(message := await stream.receive(), bytes):
                    piece = rpc_pb2.SnapshotResponse.FromString(message).blob
                    size += len(piece)
                    held += piece
                    digest.update(held[:-DIGEST_BYTES])
                    held = held[-DIGEST_BYTES:]
                    yield piece
            finally:
                stream.close()
            is_refused = self._calls.token.is_refused(message.text, stream.metadata)
            if not is_refused or size or refreshes == REFRESHES_MAX:
                break
            refreshes += 1
        if message.status != status.OK:
            raise CallFailed(message.status, message.text)
        if size % SECTOR_BYTES == DIGEST_BYTES and digest.digest() != held:
            raise CallFailed(status.DATA_LOSS, "the snapshot does not have the digest that it says")


def _urls(given: Sequence[str]) -> Sequence[str]:
    """Raises UsageError for a single one, whose letters would be taken for URLs."""
    if isinstance(given, (str, bytes)):
        raise arguments.wrong("peer_urls", arguments.PEER_URLS, given)
    return given


def _shown(member: rpc_pb2.Member) -> str:
    return f"{member.ID:x} ({member.name or 'not started'})"


class Auth(_Requests):
    """Users, roles, and whether anybody has to be one."""

    async def enable(self) -> None:
        await self._write(AUTH + "AuthEnable", rpc.AuthEnableRequest(), rpc.AuthEnableResponse)

    async def disable(self) -> None:
        await self._write(AUTH + "AuthDisable", rpc.AuthDisableRequest(), rpc.AuthDisableResponse)

    async def is_enabled(self) -> bool:
        request = rpc.AuthStatusRequest()
        return (await self._read(AUTH + "AuthStatus", request, rpc.AuthStatusResponse)).enabled

    async def user_add(self, name: str, password: str | None) -> None:
        """password None: one who comes with a certificate."""
        options = auth_pb2.UserAddOptions(no_password=password is None)
        request = arguments.request(
            rpc.AuthUserAddRequest,
            name=name,
            password="" if password is None else password,
            options=options,
        )
        await self._write(AUTH + "UserAdd", request, rpc.AuthUserAddResponse)

    async def user_roles(self, name: str) -> Sequence[str]:
        request = arguments.request(rpc.AuthUserGetRequest, name=name)
        return (await self._read(AUTH + "UserGet", request, rpc.AuthUserGetResponse)).roles

    async def users(self) -> Sequence[str]:
        request = rpc.AuthUserListRequest()
        return (await self._read(AUTH + "UserList", request, rpc.AuthUserListResponse)).users

    async def user_delete(self, name: str) -> None:
        request = arguments.request(rpc.AuthUserDeleteRequest, name=name)
        await self._write(AUTH + "UserDelete", request, rpc.AuthUserDeleteResponse)

    async def user_change_password(self, name: str, password: str) -> None:
        request = arguments.request(rpc.AuthUserChangePasswordRequest, name=name, password=password)
        kind = rpc.AuthUserChangePasswordResponse
        await self._write(AUTH + "UserChangePassword", request, kind)

    async def user_grant_role(self, name: str, role: str) -> None:
        request = arguments.request(rpc.AuthUserGrantRoleRequest, user=name, role=role)
        await self._write(AUTH + "UserGrantRole", request, rpc.AuthUserGrantRoleResponse)

    async def user_revoke_role(self, name: str, role: str) -> None:
        request = arguments.request(rpc.AuthUserRevokeRoleRequest, name=name, role=role)
        await self._write(AUTH + "UserRevokeRole", request, rpc.AuthUserRevokeRoleResponse)

    async def role_add(self, name: str) -> None:
        request = arguments.request(rpc.AuthRoleAddRequest, name=name)
        await self._write(AUTH + "RoleAdd", request, rpc.AuthRoleAddResponse)

    async def role_permissions(self, name: str) -> Sequence[auth_pb2.Permission]:
        request = arguments.request(rpc.AuthRoleGetRequest, role=name)
        return (await self._read(AUTH + "RoleGet", request, rpc.AuthRoleGetResponse)).perm

    async def roles(self) -> Sequence[str]:
        request = rpc.AuthRoleListRequest()
        return (await self._read(AUTH + "RoleList", request, rpc.AuthRoleListResponse)).roles

    async def role_delete(self, name: str) -> None:
        request = arguments.request(rpc.AuthRoleDeleteRequest, role=name)
        await self._write(AUTH + "RoleDelete", request, rpc.AuthRoleDeleteResponse)

    async def role_grant(
        self, name: str, kind: str, key: bytes, range_end: bytes = b"", *, prefix: bool = False
    ) -> None:
        """kind: READ, WRITE or READWRITE."""
        if kind not in PERMISSIONS:
            raise arguments.wrong("kind", "READ, WRITE or READWRITE", kind)
        key, range_end = bounds(key, range_end, prefix=prefix)
        permission = arguments.request(
            auth_pb2.Permission,
            permType=kind,
            key=key,
            range_end=range_end,
        )
        request = arguments.request(rpc.AuthRoleGrantPermissionRequest, name=name, perm=permission)
        response = rpc.AuthRoleGrantPermissionResponse
        await self._write(AUTH + "RoleGrantPermission", request, response)

    async def role_revoke(
        self, name: str, key: bytes, range_end: bytes = b"", *, prefix: bool = False
    ) -> None:
        key, range_end = bounds(key, range_end, prefix=prefix)
        request = arguments.request(
            rpc.AuthRoleRevokePermissionRequest, role=name, key=key, range_end=range_end
        )
        response = rpc.AuthRoleRevokePermissionResponse
        await self._write(AUTH + "RoleRevokePermission", request, response)
