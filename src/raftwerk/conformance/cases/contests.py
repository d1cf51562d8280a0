"""Lock and Election: who holds it, who waits, who is told."""

from typing import Any, Final

from raftwerk.conformance.cases.keys import ALL, LOOK
from raftwerk.conformance.steps import (
    Await,
    Begin,
    Call,
    Case,
    GiveUp,
    Hear,
    Open,
    Plain,
    Step,
    call,
    setup,
)

GRANTED: Final = tuple(setup("Lease.LeaseGrant", ID=f"L+{number}", TTL=60) for number in (1, 2, 3))


def case(name: str, *steps: Step) -> Case:
    return Case(f"contests/{name}", (*GRANTED, *steps))


def count(number: int) -> Call:
    """Wait until there are so many keys."""
    return Call(method="KV.Range", fields={**ALL, "count_only": True}, until=("count", number))


def lock(lease: int | str, name: str = "n") -> Call:
    return call("Lock.Lock", name=name, lease=lease)


def unlock(key: str) -> Call:
    return call("Lock.Unlock", key=key)


def begin_lock(lease: str) -> Begin:
    return Begin(method="Lock.Lock", fields={"name": "n", "lease": lease}, name=lease)


def leader(**changed: Any) -> Plain:
    """The key of who campaigned first, with the first lease."""
    return {"name": "e", "key": "e/<L+1>", "rev": "R+1", "lease": "L+1", **changed}


def campaign(lease: int | str, value: str = "") -> Call:
    return call("Election.Campaign", name="e", lease=lease, value=value)


def proclaim(value: str, **changed: Any) -> Call:
    return call("Election.Proclaim", leader=leader(**changed), value=value)


def resign(**changed: Any) -> Call:
    return call("Election.Resign", leader=leader(**changed))


WHO: Final = call("Election.Leader", name="e")
LOCKS: Final = (
    case(
        "lock",
        lock("L+9"),
        lock("L+1"),
        lock("L+2", "other"),
        LOOK,
        unlock("n/<L+1>"),
        unlock("n/<L+1>"),
        unlock("unknown"),
        call("Lock.Unlock"),
        lock("L+2"),
        LOOK,
    ),
    case(
        "lock_goes_to_who_waited_longest",
        lock("L+1"),
        begin_lock("L+2"),
        count(2),
        begin_lock("L+3"),
        count(3),
        unlock("n/<L+1>"),
        Await("L+2"),
        call("Lease.LeaseRevoke", ID="L+2"),
        Await("L+3"),
        LOOK,
    ),
    case(
        "lock_given_up_leaves_no_key",
        lock("L+1"),
        begin_lock("L+2"),
        count(2),
        GiveUp("L+2"),
        count(1),
        begin_lock("L+3"),
        count(2),
        setup("Lock.Unlock", key="n/<L+1>"),
        count(1),
        call("KV.Range", key="n/<L+3>", keys_only=True, count_only=True),
    ),
)
ELECTIONS: Final = (
    case(
        "election",
        WHO,
        campaign("L+1", "1"),
        WHO,
        proclaim("3"),
        proclaim("4", lease="L+2"),
        WHO,
        resign(),
        resign(),
        WHO,
        LOOK,
    ),
    case(
        "election_refused",
        campaign("L+9"),
        call("Election.Proclaim", value="v"),
        call("Election.Resign"),
        call("Election.Proclaim", leader={}, value="v"),
        call("Election.Resign", leader={}),
        proclaim("v"),
        campaign("L+1"),
        proclaim("v", lease="L+9"),
        proclaim("v", rev=3),
        resign(rev=3),
        call("Election.Leader"),
        LOOK,
    ),
    case(
        "campaign_waits",
        campaign("L+1", "1"),
        Begin(
            method="Election.Campaign",
            fields={"name": "e", "lease": "L+2", "value": "2"},
            name="second",
        ),
        count(2),
        WHO,
        resign(),
        Await("second"),
        WHO,
    ),
    case(
        "observe",
        Open(method="Election.Observe", fields={"name": "e"}),
        campaign("L+1", "1"),
        Hear(1),
        proclaim("2"),
        Hear(1),
        proclaim("3"),
        Hear(1),
        setup("KV.Put", key="e/other", value="4"),
        resign(),
        Hear(1),
        setup("KV.DeleteRange", key="e/other"),
        campaign("L+2", "5"),
        Hear(1),
    ),
)
CASES: Final = (*LOCKS, *ELECTIONS)
