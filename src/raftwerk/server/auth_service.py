"""etcdserverpb.Auth: users, roles, permissions, and who is who.

Changes go through the log, passwords hashed before. What is read is read after the barrier, and judged then.
"""

import asyncio
import string
from collections.abc import Callable
from random import SystemRandom
from typing import Final

from google.protobuf.message import Message

from raftwerk.api import auth_pb2, auth_rpc_pb2, status
from raftwerk.http2.server import Call, Method, UnaryMethod
from raftwerk.kv import auth_commands as commands
from raftwerk.kv.auth import EVERYTHING, ROOT
from raftwerk.kv.auth_commands import AuthCommand, Permission, PermissionType
from raftwerk.kv.auth_tokens import digest_of
from raftwerk.kv.commands import encode
from raftwerk.kv.results import AuthResult, KvError
from raftwerk.server import translate
from raftwerk.server.auth_guard import Guard
from raftwerk.server.auth_jwt import SignedTokens
from raftwerk.server.auth_passwords import PASSWORD_BYTES_MAX, Passwords
from raftwerk.server.calls import Answering, Waiting, fail, fail_with, parse
from raftwerk.server.errors import status_of
from raftwerk.server.port import Node

TOKEN_LETTERS: Final = 16
ATTEMPTS_MAX: Final = 5
"""To authenticate while users are being changed."""
SWEEP_S: Final = 1.0

_random: Final = SystemRandom()


class AuthService:
    """The handlers, by name."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        passwords: Passwords,
        signed_tokens: SignedTokens | None,
    ) -> None:
        self._node = node
        self._loop = loop
        self._auth = node.machine.auth
        self._passwords = passwords
        self._signed_tokens = self._auth.signed_tokens = signed_tokens
        self._guard = Guard(node, loop)
        self._waiting = Waiting(node, loop)
        self._header = translate.Headers(node).field
        self._sweeping: asyncio.TimerHandle | None = None

    def methods(self) -> dict[str, Method]:
        handlers = {
            "AuthEnable": self.enable,
            "AuthDisable": self.disable,
            "AuthStatus": self.status,
            "Authenticate": self.authenticate,
            "UserAdd": self.user_add,
            "UserGet": self.user_get,
            "UserList": self.user_list,
            "UserDelete": self.user_delete,
            "UserChangePassword": self.user_change_password,
            "UserGrantRole": self.user_grant_role,
            "UserRevokeRole": self.user_revoke_role,
            "RoleAdd": self.role_add,
            "RoleGet": self.role_get,
            "RoleList": self.role_list,
            "RoleDelete": self.role_delete,
            "RoleGrantPermission": self.role_grant_permission,
            "RoleRevokePermission": self.role_revoke_permission,
        }
        return {f"/etcdserverpb.Auth/{name}": UnaryMethod(one) for name, one in handlers.items()}

    def start(self) -> None:
        """Let the time of tokens pass."""
        self._auth.tokens.sweep(self._loop.time())
        self._sweeping = self._loop.call_later(SWEEP_S, self.start)

    def stop(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._passwords.stop()

    # Changes

    def _change(self, call: Call, command: AuthCommand) -> None:
        self._waiting.propose(call, encode(command), self._answer)

    def _answer(self, call: Call, result: object) -> None:
        if isinstance(result, AuthResult):
            call.reply(self._header(result.revision))
        else:
            fail_with(call, result)

    def enable(self, call: Call, _: bytes) -> None:
        self._change(call, commands.AuthEnable())

    def disable(self, call: Call, _: bytes) -> None:
        self._change(call, commands.AuthDisable())

    def user_add(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthUserAddRequest, data)
        if request is None:
            return
        name = request.name
        if request.options.no_password:
            self._change(call, commands.UserAdd(name))
        else:
            self._hash(
                call, request.password, lambda one: self._change(call, commands.UserAdd(name, one))
            )

    def user_change_password(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthUserChangePasswordRequest, data)
        if request is not None:
            name = request.name
            self._hash(
                call,
                request.password,
                lambda one: self._change(call, commands.UserChangePassword(name, one)),
            )

    def _hash(self, call: Call, password: str, done: Callable[[bytes], None]) -> None:
        """Only for who may use it: a hash costs much."""
        if len(password.encode()) > PASSWORD_BYTES_MAX:
            fail(call, status.PASSWORD_TOO_LONG)
            return

        def judged() -> None:
            refused = self._guard.admin_refusal_now(call, unless=lambda _: False)
            if refused is None and self._passwords.is_busy:
                refused = status.TOO_MANY_REQUESTS
            if refused is not None:
                fail(call, refused)
            else:
                self._passwords.hash(password, done)

        self._waiting.read(call, judged)

    def user_delete(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthUserDeleteRequest, data)
        if request is not None:
            self._change(call, commands.UserDelete(request.name))

    def user_grant_role(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthUserGrantRoleRequest, data)
        if request is not None:
            self._change(call, commands.UserGrantRole(request.user, request.role))

    def user_revoke_role(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthUserRevokeRoleRequest, data)
        if request is not None:
            self._change(call, commands.UserRevokeRole(request.name, request.role))

    def role_add(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthRoleAddRequest, data)
        if request is not None:
            self._change(call, commands.RoleAdd(request.name))

    def role_delete(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthRoleDeleteRequest, data)
        if request is not None:
            self._change(call, commands.RoleDelete(request.role))

    def role_grant_permission(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthRoleGrantPermissionRequest, data)
        if request is None:
            return
        asked = request.perm
        if not request.HasField("perm"):
            fail(call, status.PERMISSION_NOT_GIVEN)
        elif int(asked.permType) not in tuple(PermissionType):
            fail(call, status.INVALID_AUTH_MANAGEMENT)
        else:
            permission = Permission(PermissionType(asked.permType), asked.key, asked.range_end)
            self._change(call, commands.RoleGrantPermission(request.name, permission))

    def role_revoke_permission(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthRoleRevokePermissionRequest, data)
        if request is not None:
            command = commands.RoleRevokePermission(request.role, request.key, request.range_end)
            self._change(call, command)

    # Reading

    def _read(
        self,
        call: Call,
        answer: Callable[[], Message | KvError],
        unless: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Answer an administrator, and who else may hear it."""

        def judged() -> None:
            refused = self._guard.admin_refusal_now(call, unless=unless)
            if refused is not None:
                fail(call, refused)
                return
            body = answer()
            if isinstance(body, KvError):
                fail(call, status_of(body))
            else:
                call.reply(self._header(self._node.machine.revision) + body.SerializeToString())

        self._waiting.read(call, judged)

    def status(self, call: Call, _: bytes) -> None:
        auth = self._auth
        self._read(
            call,
            lambda: auth_rpc_pb2.AuthStatusResponse(
                enabled=auth.is_enabled, authRevision=auth.revision
            ),
        )

    def user_get(self, call: Call, data: bytes) -> None:
        """Everybody may read themselves."""
        request = parse(call, auth_rpc_pb2.AuthUserGetRequest, data)
        if request is None:
            return

        def answer() -> Message | KvError:
            user = self._auth.users.get(request.name)
            if user is None:
                return KvError.USER_NOT_FOUND
            return auth_rpc_pb2.AuthUserGetResponse(roles=user.roles)

        self._read(call, answer, lambda user: bool(user) and user == request.name)

    def user_list(self, call: Call, _: bytes) -> None:
        self._read(
            call,
            lambda: auth_rpc_pb2.AuthUserListResponse(
                users=sorted(self._auth.users, key=str.encode)
            ),
        )

    def role_get(self, call: Call, data: bytes) -> None:
        """Everybody may read their own roles."""
        request = parse(call, auth_rpc_pb2.AuthRoleGetRequest, data)
        if request is None:
            return

        def answer() -> Message | KvError:
            role = self._auth.roles.get(request.role)
            if role is None:
                return KvError.ROLE_NOT_FOUND
            permissions = (EVERYTHING,) if request.role == ROOT else role
            return auth_rpc_pb2.AuthRoleGetResponse(perm=map(_permission, permissions))

        def has_role(user: str) -> bool:
            return user in self._auth.users and request.role in self._auth.users[user].roles

        self._read(call, answer, has_role)

    def role_list(self, call: Call, _: bytes) -> None:
        self._read(
            call,
            lambda: auth_rpc_pb2.AuthRoleListResponse(
                roles=sorted(self._auth.roles, key=str.encode)
            ),
        )

    # Tokens

    def authenticate(self, call: Call, data: bytes) -> None:
        request = parse(call, auth_rpc_pb2.AuthenticateRequest, data)
        if request is not None:
            self._waiting.read(call, lambda: self._check(call, request, ATTEMPTS_MAX))

    def _check(self, call: Call, request: auth_rpc_pb2.AuthenticateRequest, attempts: int) -> None:
        auth, passwords = self._auth, self._passwords
        user = auth.users.get(request.name)
        if not auth.is_enabled:
            fail(call, status.AUTH_NOT_ENABLED)
        elif user is not None and not user.password_hash:
            fail(call, status.NO_PASSWORD_USER)
        elif passwords.is_busy:
            fail(call, status.TOO_MANY_REQUESTS)
        elif self._signed_tokens is not None and not self._signed_tokens.can_sign:
            fail(call, status.CANNOT_SIGN)
        else:
            auth_revision = auth.revision

            def done(is_right: bool) -> None:
                if is_right:
                    self._give_token(call, request, auth_revision, attempts)
                else:
                    fail(call, status.AUTH_FAILED)

            passwords.check(request.password, user.password_hash if user else None, done)

    def _give_token(
        self,
        call: Call,
        request: auth_rpc_pb2.AuthenticateRequest,
        auth_revision: int,
        attempts: int,
    ) -> None:
        if self._signed_tokens is not None:
            token = self._signed_tokens.sign(request.name, auth_revision)
            self._answer_token(call, token, self._node.machine.revision)
            return
        letters = "".join(_random.choices(string.ascii_letters, k=TOKEN_LETTERS))
        token = f"{letters}.{self._node.status().last_applied}"

        def done(result: object) -> None:
            with Answering(call):
                if isinstance(result, AuthResult):
                    self._answer_token(call, token, result.revision)
                elif result is KvError.AUTH_OLD_REVISION and attempts > 1:
                    self._check(call, request, attempts - 1)
                else:
                    fail_with(call, result)

        grant = commands.TokenGrant(request.name, digest_of(token), auth_revision)
        self._node.propose(encode(grant), done)

    def _answer_token(self, call: Call, token: str, revision: int) -> None:
        body = auth_rpc_pb2.AuthenticateResponse(token=token)
        call.reply(self._header(revision) + body.SerializeToString())


def _permission(permission: Permission) -> auth_pb2.Permission:
    return auth_pb2.Permission(
        permType=permission.type.value,  # type: ignore[arg-type]  # the same numbers
        key=permission.key,
        range_end=permission.range_end,
    )
