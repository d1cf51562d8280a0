"""Runs cases on a cluster: each at one of its members, with names of its own, and nothing left behind."""

import itertools
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from secrets import randbits
from typing import Any, Final, NamedTuple, cast

from google.protobuf.message import DecodeError

from raftwerk.conformance import recording
from raftwerk.conformance.difference import difference_of_answers
from raftwerk.conformance.methods import METHODS
from raftwerk.conformance.names import LEASES_MAX, Names
from raftwerk.conformance.player import CannotPlay, Player, Told
from raftwerk.conformance.ports import Endpoint
from raftwerk.conformance.steps import Case, Needs
from raftwerk.errors import RaftwerkError
from raftwerk.http2.client import Answer
from raftwerk.http2.grpc import OK

HIGH: Final = b"\xff\xff"
"""Prefixes begin so: ranges without an end find nothing of others behind them."""
ROOT: Final = "root"
"""The user of auth cases, its role, its password, and the name of its token."""
ALARMED: Final = (5, 6)
"""Members, which need not exist, for which cases raise alarms."""


class CannotRun(RaftwerkError):
    """The cluster is in no state for these cases: the text says why."""


class Result(NamedTuple):
    """difference: None when all answers are those of etcd. reason: why the case was left out."""

    case: Case
    difference: str | None = None
    reason: str = ""


class Site:
    """One member of a cluster, and where on it the cases are played."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.prefix = HIGH + f"conformance/{os.urandom(6).hex()}/".encode()

    async def play(self, case: Case) -> list[Told]:
        """The answers to a case. Raises CannotPlay; CannotRun when the server does not do the simplest things."""
        first = await self._begin()
        lease_base = (randbits(60) | 1 << 60) & ~(LEASES_MAX - 1)
        player = Player(self.endpoint, Names(self.prefix, first, lease_base))
        try:
            return await player.play(case.steps)
        finally:
            await self._clean(case, player)

    async def _ask(self, method: str, token: str = "", /, **fields: Any) -> Answer:
        path, request, _ = METHODS[method]
        metadata = (("token", token),) if token else ()
        return await self.endpoint.call(path, request(**fields).SerializeToString(), metadata)

    async def _response(self, method: str, /, **fields: Any) -> Any:
        answer = await self._ask(method, **fields)
        if answer.status != OK:
            raise CannotRun(f"{self.endpoint.address} refuses {method}: {answer.text}")
        return METHODS[method].response.FromString(answer.message)

    async def _begin(self) -> int:
        """The revision at the start. One write is made: the first revision of a store is like no other."""
        await self._response("KV.Put", key=self.prefix)
        await self._delete_all()
        response = await self._response("KV.Range", key=self.prefix)
        return int(response.header.revision)

    async def _delete_all(self) -> None:
        end = self.prefix[:-1] + bytes([self.prefix[-1] + 1])
        await self._response("KV.DeleteRange", key=self.prefix, range_end=end)

    async def _clean(self, case: Case, player: Player) -> None:
        if case.needs is Needs.AUTH:
            await self._forget_auth()
        if case.needs in (Needs.DISTURBING, Needs.AUTH):
            for member, kind in itertools.product(ALARMED, ("NOSPACE", "CORRUPT")):
                await self._ask(
                    "Maintenance.Alarm", action="DEACTIVATE", memberID=member, alarm=kind
                )
        for lease in player.granted:
            await self._ask("Lease.LeaseRevoke", ID=lease)
        await self._delete_all()

    async def _forget_auth(self) -> None:
        """Disabled, without users and roles."""
        answer = await self._ask("Auth.Authenticate", name=ROOT, password=ROOT)
        if answer.status == OK:
            response = METHODS["Auth.Authenticate"].response.FromString(answer.message)
            await self._ask("Auth.AuthDisable", cast("Any", response).token)
        users, roles = await self.users_and_roles()
        for user in users:
            await self._response("Auth.UserDelete", name=user)
        for role in roles:
            await self._response("Auth.RoleDelete", role=role)

    async def users_and_roles(self) -> tuple[Sequence[str], Sequence[str]]:
        users = await self._response("Auth.UserList")
        roles = await self._response("Auth.RoleList")
        return list(users.users), list(roles.roles)

    async def count_all(self) -> int:
        """Of all keys that there are."""
        response = await self._response("KV.Range", key=b"\0", range_end=b"\0", count_only=True)
        return int(response.count)


async def run(
    endpoints: Sequence[Endpoint], cases: Iterable[Case], allowed: frozenset[Needs]
) -> AsyncIterator[Result]:
    """One result for each case, which are spread over the endpoints, members of one cluster."""
    sites = [Site(endpoint) for endpoint in endpoints]
    recorded: dict[str, dict[str, recording.Answers]] = {}
    for number, case in enumerate(cases):
        site = sites[number % len(sites)]
        area, _, name = case.name.partition("/")
        if area not in recorded:
            recorded[area] = recording.load(area)
        reason = await _obstacle(site, case, allowed)
        if reason:
            yield Result(case, reason=reason)
            continue
        try:
            told = await site.play(case)
        except (CannotPlay, DecodeError) as error:
            yield Result(case, str(error))
        else:
            yield Result(case, difference_of_answers(case.steps, recorded[area][name], told))


async def _obstacle(site: Site, case: Case, allowed: frozenset[Needs]) -> str:
    """Why the case is not to be played here; empty if nothing speaks against it."""
    if case.needs not in allowed:
        return f"needs {case.needs.value}"
    if case.needs is Needs.ALONE and await site.count_all():
        return "the store has keys of others"
    if case.needs is Needs.AUTH and any(await site.users_and_roles()):
        return "there are users or roles"
    return ""
