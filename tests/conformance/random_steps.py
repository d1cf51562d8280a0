"""Random steps of a case: few keys, small revisions and three leases, so that they meet."""

from typing import Any

from hypothesis import strategies as st

from raftwerk.conformance.cases.keys import SEED
from raftwerk.conformance.steps import (
    Case,
    End,
    Fence,
    HalfClose,
    Hear,
    Needs,
    Open,
    Plain,
    Say,
    Step,
    call,
    setup,
)

KEYS = st.sampled_from(["a", "a", "ab", "b", "b", "c", "\xff"])
ENDS = st.sampled_from(["", "", "", "b", "c", "z", "a", "\0"])
VALUES = st.sampled_from(["", "v", "w"])
REVISIONS = st.sampled_from([0, 0, 0, 0, -1, *(f"R+{number}" for number in range(16))])
LEASES = st.sampled_from([0, 0, 0, "L+1", "L+2", "L+9"])
RARE = st.sampled_from([False] * 5 + [True])
SPANS = st.one_of(
    st.builds(lambda key, end: {"key": key, "range_end": end}, KEYS, ENDS),
    st.just({"key": " ", "range_end": "\0"}),
)
RANGES = st.builds(
    lambda span, **options: {**span, **options},
    SPANS,
    limit=st.sampled_from([0, 0, 0, 1, 2, 3, -1]),
    revision=REVISIONS,
    sort_order=st.sampled_from(["NONE", "ASCEND", "DESCEND"]),
    sort_target=st.sampled_from(["KEY", "VERSION", "CREATE", "MOD", "VALUE"]),
    serializable=RARE,
    keys_only=RARE,
    count_only=RARE,
    **{
        name: st.one_of(st.just(0), st.just(0), REVISIONS)
        for name in (
            "min_mod_revision",
            "max_mod_revision",
            "min_create_revision",
            "max_create_revision",
        )
    },
)
PUTS = st.fixed_dictionaries(
    {
        "key": st.one_of(KEYS, KEYS, KEYS, st.just("")),
        "value": VALUES,
        "lease": LEASES,
        "prev_kv": st.booleans(),
        "ignore_value": RARE,
        "ignore_lease": RARE,
    }
)
DELETIONS = st.builds(lambda span, prev_kv: {**span, "prev_kv": prev_kv}, SPANS, st.booleans())
OPERANDS = st.one_of(
    st.tuples(st.just("VERSION"), st.just("version"), st.integers(0, 3)),
    st.tuples(st.just("CREATE"), st.just("create_revision"), REVISIONS),
    st.tuples(st.just("MOD"), st.just("mod_revision"), REVISIONS),
    st.tuples(st.just("VALUE"), st.just("value"), VALUES),
    st.tuples(st.just("LEASE"), st.just("lease"), LEASES),
)
COMPARES = st.builds(
    lambda span, result, operand: {
        **span,
        "result": result,
        "target": operand[0],
        operand[1]: operand[2],
    },
    SPANS,
    st.sampled_from(["EQUAL", "GREATER", "LESS", "NOT_EQUAL"]),
    OPERANDS,
)
OPERATIONS: st.SearchStrategy[Plain] = st.one_of(
    PUTS.map(lambda fields: {"request_put": fields}),
    PUTS.map(lambda fields: {"request_put": fields}),
    RANGES.map(lambda fields: {"request_range": fields}),
    DELETIONS.map(lambda fields: {"request_delete_range": fields}),
)


def txns(operations: st.SearchStrategy[Plain]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "compare": st.lists(COMPARES, max_size=2),
            "success": st.lists(operations, max_size=4),
            "failure": st.lists(operations, max_size=3),
        }
    )


TXNS = txns(
    st.one_of(
        OPERATIONS,
        OPERATIONS,
        txns(st.one_of(OPERATIONS, txns(OPERATIONS).map(lambda txn: {"request_txn": txn}))).map(
            lambda txn: {"request_txn": txn}
        ),
    )
)


def calls(method: str, fields: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Step, ...]]:
    return fields.map(lambda chosen: (call(method, **chosen),))


ID = st.sampled_from(["L+1", "L+1", "L+2", "L+2", "L+9", 0])
GRANTS = st.fixed_dictionaries(
    {"ID": st.sampled_from(["L+1", "L+2"]), "TTL": st.integers(600, 700)}
)
KV = st.one_of(
    calls("KV.Put", PUTS),
    calls("KV.Put", PUTS),
    calls("KV.Range", RANGES),
    calls("KV.Range", RANGES),
    calls("KV.DeleteRange", DELETIONS),
    calls("KV.Txn", TXNS),
    calls("KV.Txn", TXNS),
    calls("KV.Compact", st.fixed_dictionaries({"revision": REVISIONS, "physical": RARE})),
)
RENEWALS = st.lists(ID, min_size=1, max_size=3)
LEASE = st.one_of(
    calls("Lease.LeaseGrant", GRANTS),
    calls("Lease.LeaseGrant", GRANTS),
    calls("Lease.LeaseRevoke", st.fixed_dictionaries({"ID": ID})),
    calls("Lease.LeaseTimeToLive", st.fixed_dictionaries({"ID": ID, "keys": st.booleans()})),
    calls("Lease.LeaseLeases", st.just({})),
    RENEWALS.map(
        lambda ids: (
            Open(method="Lease.LeaseKeepAlive", name="renewals"),
            *(Say({"ID": one}, "renewals") for one in ids),
            *(Hear(1, "renewals") for _ in ids),
            HalfClose("renewals"),
            End("renewals"),
        )
    ),
)
WATCHES = st.builds(
    lambda span, **options: {**span, **options},
    SPANS,
    start_revision=st.sampled_from([0, 0, *(f"R+{number}" for number in range(20))]),
    filters=st.sampled_from([[], [], [], ["NOPUT"], ["NODELETE"], ["NOPUT", "NODELETE"]]),
    prev_kv=st.booleans(),
)
WATCH = WATCHES.map(
    lambda fields: (Open(method="Watch.Watch", name="?"), Say({"create_request": fields}, "?"))
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Keys, leases, compactions; each watcher has a stream of its own, and tells at the end what it has heard.

    Its history is waited for: whether compaction overtakes it would be a matter of chance.
    """
    steps: list[Step] = [*SEED, setup("Lease.LeaseGrant", ID="L+1", TTL=650)]
    streams: list[str] = []
    for chosen in draw(st.lists(st.one_of(KV, KV, KV, LEASE, WATCH), min_size=5, max_size=30)):
        if isinstance(chosen[0], Open) and chosen[0].name == "?":
            name = f"watch {len(streams) + 1}"
            streams.append(name)
            request = chosen[1]
            assert isinstance(request, Say)
            steps += Open(method="Watch.Watch", name=name), Say(request.fields, name)
            is_past = request.fields["create_request"]["start_revision"] != 0
            steps.append(Fence(name, with_history=True) if is_past else Hear(1, name))
        else:
            steps += chosen
    steps += (Fence(name) for name in streams)
    return Case("random/kv", tuple(steps), Needs.DISTURBING)
