"""Who makes a call, and whether it may: what stands between the client port and the machine while auth is enabled.

A write is judged when it is applied; here it only gets the name of who wants it. A read is judged here, after its barrier.
While auth is disabled, nothing of this costs more than one look at a flag.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError

from raftwerk.api import rpc_pb2, status
from raftwerk.api.status import Status
from raftwerk.http2.server import Call, Method, StreamMethod, UnaryMethod
from raftwerk.kv.auth_rules import NOBODY, Identity, LeaseKeys, admin_refusal, refusal
from raftwerk.kv.commands import RangeQuery, Txn
from raftwerk.kv.results import KvError
from raftwerk.replica.failure import Failure
from raftwerk.server.errors import status_of
from raftwerk.server.port import Node
from raftwerk.server.streams import take_one

ADMIN_ONLY: Final = frozenset(
    (
        "/etcdserverpb.Cluster/MemberAdd",
        "/etcdserverpb.Cluster/MemberPromote",
        "/etcdserverpb.Cluster/MemberRemove",
        "/etcdserverpb.Cluster/MemberUpdate",
        "/etcdserverpb.Maintenance/Alarm",
        "/etcdserverpb.Maintenance/Defragment",
        "/etcdserverpb.Maintenance/Downgrade",
        "/etcdserverpb.Maintenance/Hash",
        "/etcdserverpb.Maintenance/HashKV",
        "/etcdserverpb.Maintenance/MoveLeader",
        "/etcdserverpb.Maintenance/Snapshot",
    )
)
"""Calls that are judged by their name alone. (Those of the Auth service, and Compact, are commands: the machine judges them.)"""
_ALARM: Final = "/etcdserverpb.Maintenance/Alarm"
_CODE_NAMES: Final = {
    status.INVALID_ARGUMENT: "InvalidArgument",
    status.PERMISSION_DENIED: "PermissionDenied",
    status.UNAUTHENTICATED: "Unauthenticated",
}

Read = RangeQuery | Txn | LeaseKeys
"""What a read is judged as."""


def token_of(call: Call) -> str | None:
    """The token that came with a call: in the metadata, or in the HTTP header of the gateway."""
    found = None
    for name, value in call.headers:
        if name == b"token":
            return value.decode("latin-1")
        if name == b"authorization" and found is None:
            found = value.decode("latin-1").removeprefix("Bearer ")
    return found


def reason(refused: Status) -> str:
    """A refusal as a watch is told of it: in the words of a Go client."""
    return f"rpc error: code = {_CODE_NAMES[refused.code]} desc = {refused.text}"


class Guard:
    """See the module's text."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._auth = node.machine.auth

    @property
    def is_on(self) -> bool:
        return self._auth.is_enabled

    # Who

    def identify_now(self, call: Call) -> Identity | None:
        """As far as this member knows; None: the token is invalid."""
        token = token_of(call)
        if token is None:
            return self._without_token(call)
        if self._auth.signed_tokens is not None:
            signed = self._auth.signed_tokens.find(token)
            return None if signed is None else Identity(*signed)
        user = self._auth.tokens.find(token, self._loop.time())
        return None if user is None else Identity(user, self._auth.revision)

    def _without_token(self, call: Call) -> Identity:
        """The user is who the client's certificate names, where everybody has to show one. (The gateway's calls have none.)"""
        name = call.common_name
        if not name or not self._node.settings.client_tls.client_cert_auth:
            return NOBODY
        return Identity(name, self._auth.revision)

    def identify(
        self,
        call: Call,
        go_on: Callable[[Identity], None],
        otherwise: Callable[[Failure | KvError], None] | None = None,
    ) -> None:
        """Call `go_on`, or refuse the call. A token that is not known yet may have been granted elsewhere a moment ago.

        otherwise: called instead of refusing the call, with the reason.
        """
        by = self.identify_now(call)
        if by is None:
            self._node.read(lambda failure: self._identify_after(failure, call, go_on, otherwise))
        else:
            go_on(by)

    def _identify_after(
        self,
        failure: Failure | None,
        call: Call,
        go_on: Callable[[Identity], None],
        otherwise: Callable[[Failure | KvError], None] | None = None,
    ) -> None:
        """The barrier is passed: whose token is not known now has none. Without a barrier nobody can tell."""
        by = self.identify_now(call)
        if by is not None:
            go_on(by)
            return
        refused = failure or KvError.INVALID_TOKEN
        if otherwise is not None:
            otherwise(refused)
        else:
            call.finish(*status_of(refused))

    # Whether

    def refusal_now(self, call: Call, read: Read) -> KvError | None:
        """Why a read may not be, in the present state: to be asked in the turn of the loop that reads."""
        if not self.is_on:
            return None
        by = self.identify_now(call)
        if by is None:
            return KvError.INVALID_TOKEN
        return refusal(self._auth, by, read)

    def admin_refusal_now(self, call: Call, *, unless: Callable[[str], bool]) -> Status | None:
        """Why the caller is no administrator. unless: says of a user that it may all the same."""
        if not self.is_on:
            return None
        by = self.identify_now(call)
        if by is None:
            return status.INVALID_TOKEN
        refused = admin_refusal(self._auth, by)
        return None if refused is not None and unless(by.user) else _status(refused)

    # Around the methods

    def protect(self, methods: dict[str, Method]) -> dict[str, Method]:
        """The methods, those for administrators behind a question."""
        return {
            path: self._protected(path, method) if path in ADMIN_ONLY else method
            for path, method in methods.items()
        }

    def _protected(self, path: str, method: Method) -> Method:
        if isinstance(method, StreamMethod):
            return StreamMethod(lambda call: self._open_as_admin(call, method.open))
        handle = method.handle

        def handle_as_admin(call: Call, data: bytes) -> None:
            if path == _ALARM and not _changes_alarms(data):
                handle(call, data)
            else:
                self._as_admin(call, lambda: handle(call, data), is_old_allowed=True)

        return UnaryMethod(handle_as_admin)

    def _open_as_admin(self, call: Call, open_call: Callable[[Call], None]) -> None:
        """Judged when there is a request, as in etcd: grpcio's client takes an earlier refusal for an error of its own."""

        def on_request(data: bytes) -> None:
            def begin() -> None:
                open_call(call)
                assert call.on_message is not None, "it takes one request"
                call.on_message(data)

            self._as_admin(call, begin, is_old_allowed=False)

        take_one(call, on_request)

    def _as_admin(self, call: Call, go_on: Callable[[], None], *, is_old_allowed: bool) -> None:
        """Judged after the barrier: that auth was enabled may not have come here yet.

        is_old_allowed: what is answered is what this member has now. Without a barrier it may be old, but so is the judgement.
        """

        def judge(by: Identity) -> None:
            refused = _status(admin_refusal(self._auth, by))
            if refused is None:
                go_on()
            else:
                call.finish(*refused)

        def after_barrier(failure: Failure | None) -> None:
            if call.is_over:
                return
            if failure is not None and not is_old_allowed:
                call.finish(*status_of(failure))
            elif self.is_on:
                self._identify_after(failure, call, judge)
            else:
                go_on()

        if is_old_allowed and not self._node.has_leader:
            after_barrier(Failure.NO_LEADER)
        else:
            self._node.read(after_barrier)


def _changes_alarms(data: bytes) -> bool:
    try:
        return rpc_pb2.AlarmRequest.FromString(data).action != rpc_pb2.AlarmRequest.GET
    except DecodeError:
        return True


def _status(error: KvError | None) -> Status | None:
    return None if error is None else status_of(error)
