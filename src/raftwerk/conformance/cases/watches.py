"""Watch: what is told, in what order, and what is refused."""

from typing import Any, Final

from raftwerk.conformance.cases.txns import delete, put
from raftwerk.conformance.reasons import NEGATIVE_START
from raftwerk.conformance.steps import (
    Also,
    Call,
    Case,
    End,
    Fence,
    HalfClose,
    Hear,
    Needs,
    Open,
    Say,
    SayBytes,
    Step,
    call,
    setup,
)

LARGE: Final = "x" * 700_000
EVERYTHING: Final = {"key": "\0", "range_end": "\0"}
ALL: Final = {"key": " ", "range_end": "~"}


def create(**fields: Any) -> Say:
    return Say({"create_request": fields})


def cancel(watch_id: int) -> Say:
    return Say({"cancel_request": {"watch_id": watch_id}})


PROGRESS: Final = Say({"progress_request": {}})


def puts(*keys: str, value: str = "v") -> tuple[Call, ...]:
    """One after the other."""
    return tuple(setup("KV.Put", key=key, value=value) for key in keys)


def at_once(*operations: Any) -> Call:
    """In one revision."""
    return setup("KV.Txn", success=list(operations))


def gone(key: str, range_end: str = "") -> Call:
    return setup("KV.DeleteRange", key=key, range_end=range_end)


def case(name: str, *steps: Step, needs: Needs = Needs.NOTHING) -> Case:
    """A conversation on one stream; at its end, everything that was told is accounted for."""
    return Case(f"watches/{name}", (Open(method="Watch.Watch"), *steps, Fence()), needs)


EVENTS: Final = (
    case("key", create(key="a"), Hear(1), *puts("a", "b", "a"), gone("a"), Hear(3)),
    case(
        "ranges",
        create(key="b", range_end="c", watch_id=1),
        create(key="b", range_end="\0", watch_id=2),
        create(**ALL, watch_id=3),
        Hear(3),
        *puts("bb"),
        Hear(3),
        *puts("a", "c"),
        Hear(3),
    ),
    case(
        "everything",
        create(**EVERYTHING, watch_id=1),
        create(range_end="\0", watch_id=2),
        create(watch_id=3),
        Hear(3),
        *puts("a"),
        Hear(2),
        needs=Needs.ALONE,
    ),
    case(
        "prev_kv",
        create(key="a", range_end="c", prev_kv=True),
        Hear(1),
        *puts("a", value="1"),
        *puts("a", value="2"),
        at_once(put("a"), put("b")),
        gone("a", "z"),
        gone("a"),
        *puts("a"),
        Hear(5),
    ),
    case(
        "transactions",
        create(**ALL),
        Hear(1),
        at_once(put("c"), put("a"), put("b")),
        at_once(),
        at_once(put("a"), delete("b", "d"), {"request_txn": {"success": [put("x")]}}),
        gone(**ALL),
        Hear(3),
    ),
    case(
        "filters",
        create(key="a", filters=["NOPUT"], watch_id=1),
        create(key="a", filters=["NODELETE"], watch_id=2, prev_kv=True),
        create(key="a", filters=["NOPUT", "NODELETE"], watch_id=3),
        Hear(3),
        *puts("a", "a"),
        gone("a"),
        Hear(3),
    ),
    case(
        "lease_ends",
        setup("Lease.LeaseGrant", ID="L+1", TTL=60),
        setup("KV.Put", key="b", lease="L+1"),
        setup("KV.Put", key="a", lease="L+1"),
        create(**ALL, prev_kv=True),
        Hear(1),
        setup("Lease.LeaseRevoke", ID="L+1"),
        Hear(1),
    ),
    case(
        "fragments",
        create(key="a", range_end="e", watch_id=1, prev_kv=True, fragment=True),
        create(key="a", range_end="e", watch_id=2, prev_kv=True),
        Hear(2),
        *(
            step
            for key in ("a", "b", "c", "d")
            for step in (setup("KV.Put", key=key, value=LARGE), Hear(2))
        ),
        gone("a", "e"),
        Hear(3),
        create(
            key="a", range_end="e", watch_id=3, start_revision="R+5", prev_kv=True, fragment=True
        ),
        Hear(3),
    ),
)
COMPACTED: Final = "etcdserver: mvcc: required revision has been compacted"


def _refusal(reason: str) -> dict[str, Any]:
    return {
        "header": {"revision": "R+0", "ids": "set"},
        "watch_id": -1,
        "created": True,
        "canceled": True,
        "cancel_reason": reason,
    }


WATCHERS: Final = (
    case(
        "refused",
        create(key="b", watch_id=7),
        Hear(1),
        create(key="b", range_end="a"),
        Hear(1),
        create(key="b", range_end="b"),
        Hear(1),
        create(key="b", watch_id=7),
        Hear(1),
        *puts("b"),
        Hear(1),
    ),
    case(
        "ids",
        *(create(key="a", watch_id=number) for number in (0, 2, 0, 0, -3, 0)),
        Hear(6),
        *(cancel(number) for number in (2, 0, 99)),
        Hear(2),
        create(key="a"),
        create(key="a", watch_id=2),
        Hear(2),
        *puts("a"),
        Hear(6),
    ),
    Case(
        "watches/negative_start",
        (
            Open(method="Watch.Watch"),
            *(
                step
                for watch_id, start in ((0, -1), (8, -5))
                for step in (
                    create(key="b", start_revision=start, watch_id=watch_id),
                    Also(Hear(1), NEGATIVE_START, {"heard": [_refusal(COMPACTED)]}),
                )
            ),
        ),
    ),
    case("unknown_request", Say({}), create(key="a"), Hear(1)),
    case(
        "cancelled_twice",
        create(key="a", watch_id=4),
        Hear(1),
        cancel(4),
        cancel(4),
        Hear(1),
        *puts("a"),
        create(key="a", watch_id=4),
        Hear(1),
        *puts("a"),
        Hear(1),
    ),
    case(
        "progress",
        PROGRESS,
        Hear(1),
        create(key="a"),
        Hear(1),
        PROGRESS,
        Hear(1),
        *puts("a"),
        Hear(1),
        *puts("b"),
        *puts("a"),
        Hear(1),
        PROGRESS,
        Hear(1),
    ),
)
HISTORY: Final = (
    case(
        "past",
        *puts("a", "b", "a"),
        at_once(put("a"), put("b")),
        gone("a"),
        create(key="a", start_revision="R+1"),
        Hear(2),
        *puts("a"),
        Hear(1),
        create(key="a", range_end="c", start_revision="R+2", prev_kv=True),
        Hear(2),
    ),
    case(
        "past_filtered",
        *puts("a", "a"),
        gone("a"),
        *puts("b", "a"),
        create(key="a", start_revision="R+1", filters=["NOPUT"], prev_kv=True),
        Hear(2),
    ),
    case("now", *puts("a"), create(key="a", start_revision="R+1"), Hear(2)),
    case(
        "future",
        create(key="a", start_revision="R+3"),
        Hear(1),
        *puts("a", "a", "a", "a"),
        Hear(2),
    ),
    case(
        "compacted",
        *puts("a", "a", "a", "a"),
        setup("KV.Compact", revision="R+3"),
        create(key="a", start_revision="R+2", watch_id=5),
        Hear(2),
        create(key="a", start_revision="R+3", watch_id=6, prev_kv=True),
        Hear(2),
        *puts("a"),
        Hear(1),
        needs=Needs.DISTURBING,
    ),
    case(
        "compaction_of_what_was_told",
        create(key="a", prev_kv=True),
        Hear(1),
        *puts("a", "b", "a"),
        Hear(2),
        setup("KV.Compact", revision="R+3"),
        *puts("a"),
        Hear(1),
        needs=Needs.DISTURBING,
    ),
)
STREAMS: Final = (
    Case(
        "watches/half_closed",
        (
            Open(method="Watch.Watch"),
            create(key="a"),
            create(key="b", watch_id=9),
            Hear(2),
            HalfClose(),
            *puts("a"),
            Hear(1),
            *puts("b"),
            Hear(1),
        ),
    ),
    *(
        Case(
            f"watches/unreadable_{name}",
            (Open(method="Watch.Watch"), SayBytes(data), End()),
        )
        for name, data in (("garbage", b"\xff\xff\xff"), ("cut", b"\x0a\x05ab"))
    ),
    Case(
        "watches/two_streams",
        (
            Open(method="Watch.Watch", name="one"),
            Open(method="Watch.Watch", name="other", metadata=(("hasleader", "true"),)),
            *(
                Say({"create_request": {"key": "a", "watch_id": 3}}, name)
                for name in ("one", "other")
            ),
            Hear(1, "one"),
            Hear(1, "other"),
            call("KV.Put", key="a"),
            Hear(1, "other"),
            Hear(1, "one"),
            Say({"cancel_request": {"watch_id": 3}}, "one"),
            Hear(1, "one"),
            call("KV.Put", key="a"),
            Hear(1, "other"),
        ),
    ),
)
CASES: Final = (*EVENTS, *WATCHERS, *HISTORY, *STREAMS)
