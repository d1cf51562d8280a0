"""Range, Put, DeleteRange and Compact, with every option."""

from typing import Any, Final

from raftwerk.conformance.steps import Call, Case, Needs, Plain, Step, call, setup

LIMIT: Final = 1_572_864
"""Of a request, in bytes."""
ALL: Final = {"key": " ", "range_end": "~"}
"""Every key of a case."""
EVERYTHING: Final = {"key": "\0", "range_end": "\0"}
"""Every key there is."""
SEED: Final = tuple(
    setup("KV.Put", key=key, value=value)
    for key, value in (("a", "1"), ("b", "2"), ("c", "3"), ("ab", "4"), ("b", "5"), ("d", ""))
)
"""Six writes: keys with different revisions, versions and values."""
LOOK: Final = call("KV.Range", **ALL)
"""What is there now."""


def seeded(name: str, *steps: Step, needs: Needs = Needs.NOTHING) -> Case:
    return Case(f"keys/{name}", (*SEED, *steps), needs)


def reads(name: str, *requests: Plain, needs: Needs = Needs.NOTHING) -> Case:
    return seeded(name, *(call("KV.Range", **request) for request in requests), needs=needs)


def changed(name: str, method: str, /, **fields: Any) -> Case:
    """One request, and what is there after it."""
    return seeded(name, call(method, **fields), LOOK)


def _of_all(**options: Any) -> Plain:
    return {**ALL, **options}


TARGETS: Final = ("KEY", "VERSION", "CREATE", "MOD", "VALUE")
RANGES: Final = (
    reads("range", ALL, {"key": "a"}, {"key": "x"}, {"key": "a", "range_end": "b"}),
    reads("range_empty_key", {}, {"range_end": "z"}),
    reads(
        "range_without_sense",
        {"key": "c", "range_end": "a"},
        {"key": "c", "range_end": "c"},
        {"key": "b", "range_end": "\0"},
    ),
    reads(
        "range_limit",
        _of_all(limit=2),
        _of_all(limit=4),
        _of_all(limit=5),
        _of_all(limit=6),
        _of_all(limit=-1),
    ),
    reads(
        "range_parts",
        _of_all(keys_only=True),
        _of_all(count_only=True),
        _of_all(count_only=True, limit=2),
        _of_all(keys_only=True, count_only=True),
        _of_all(keys_only=True, limit=1),
    ),
    reads(
        "range_filters",
        _of_all(min_mod_revision="R+3"),
        _of_all(max_mod_revision="R+3"),
        _of_all(min_create_revision="R+3"),
        _of_all(max_create_revision="R+3", limit=1),
        _of_all(min_mod_revision="R+3", count_only=True),
        _of_all(min_mod_revision=-1, max_mod_revision=-1),
        _of_all(min_mod_revision="R+3", limit=1),
        _of_all(min_mod_revision="R+2", max_mod_revision="R+4", keys_only=True),
    ),
    reads(
        "range_revision",
        _of_all(revision="R+4"),
        _of_all(revision="R+4", limit=1),
        _of_all(revision="R+0"),
        _of_all(revision=-5),
        _of_all(revision="R+6", serializable=True),
        {"key": "b", "revision": "R+3"},
    ),
    reads(
        "range_future", _of_all(revision="R+1000"), _of_all(revision="R+1000", serializable=True)
    ),
    *(
        reads(
            f"range_sort_{order.lower()}",
            *(_of_all(sort_order=order, sort_target=target) for target in TARGETS),
            *(_of_all(sort_order=order, sort_target=target, limit=2) for target in TARGETS),
        )
        for order in ("NONE", "ASCEND", "DESCEND")
    ),
    reads("range_serializable", _of_all(serializable=True), {"key": "a", "serializable": True}),
    reads("range_everything", EVERYTHING, {**EVERYTHING, "limit": 2}, needs=Needs.ALONE),
)
PUTS: Final = (
    changed("put", "KV.Put", key="a", value="x"),
    changed("put_new", "KV.Put", key="x", value="1"),
    changed("put_empty_key", "KV.Put", value="x"),
    changed("put_prev_kv", "KV.Put", key="b", value="x", prev_kv=True),
    changed("put_prev_kv_of_no_key", "KV.Put", key="x", value="x", prev_kv=True),
    changed("put_ignore_lease", "KV.Put", key="a", value="x", prev_kv=True, ignore_lease=True),
    changed("put_ignore_value", "KV.Put", key="a", ignore_value=True, prev_kv=True),
    changed("put_ignore_both", "KV.Put", key="a", ignore_value=True, ignore_lease=True),
    changed("put_ignore_lease_with_lease", "KV.Put", key="a", lease=3, ignore_lease=True),
    changed("put_ignore_value_with_value", "KV.Put", key="a", value="x", ignore_value=True),
    changed("put_ignore_value_of_no_key", "KV.Put", key="x", ignore_value=True),
    changed("put_ignore_lease_of_no_key", "KV.Put", key="x", ignore_lease=True),
    changed("put_no_key_and_ignore", "KV.Put", value="x", ignore_value=True),
    changed("put_unknown_lease", "KV.Put", key="a", lease="L+9"),
    changed("put_negative_lease", "KV.Put", key="a", lease=-1),
    changed("put_unknown_lease_of_no_key", "KV.Put", key="x", lease="L+9", ignore_value=True),
    changed("put_long_key", "KV.Put", key="k" * 2000, value="x", prev_kv=True),
    changed("put_odd_bytes", "KV.Put", key="k\xff\0 \t", value="\0\xff"),
    changed("put_largest", "KV.Put", key="a", value="x" * (LIMIT - 200)),
    changed("put_too_large", "KV.Put", key="a", value="x" * (LIMIT + 1)),
    changed("put_over_grpc_limit", "KV.Put", key="a", value="x" * (LIMIT + 512 * 1024)),
)
DELETIONS: Final = (
    changed("delete", "KV.DeleteRange", key="a"),
    changed("delete_range", "KV.DeleteRange", key="a", range_end="b"),
    changed("delete_nothing", "KV.DeleteRange", key="x", prev_kv=True),
    changed("delete_prev_kv", "KV.DeleteRange", key="a", range_end="c", prev_kv=True),
    changed("delete_from_key", "KV.DeleteRange", key="b", range_end="\0"),
    changed("delete_end_before_key", "KV.DeleteRange", key="c", range_end="a"),
    changed("delete_empty_key", "KV.DeleteRange", range_end="z"),
    seeded(
        "delete_then_put",
        call("KV.DeleteRange", key="b"),
        call("KV.DeleteRange", key="b"),
        call("KV.Put", key="b", value="again", prev_kv=True),
        LOOK,
        call("KV.Range", **ALL, revision="R+7"),
    ),
    seeded(
        "delete_everything",
        call("KV.DeleteRange", **EVERYTHING, prev_kv=True),
        LOOK,
        needs=Needs.ALONE,
    ),
)
COMPACTIONS: Final = (
    seeded(
        "compact_refused",
        call("KV.Compact", revision="R+1000"),
        call("KV.Compact", revision="R+1000", physical=True),
    ),
    seeded(
        "compact",
        call("KV.DeleteRange", key="c"),
        call("KV.Compact", revision="R+4"),
        call("KV.Compact", revision="R+4"),
        call("KV.Compact", revision="R+2"),
        call("KV.Compact", revision=-1),
        call("KV.Compact"),
        call("KV.Range", key="a", revision="R+3"),
        call("KV.Range", key="a", revision="R+3", serializable=True),
        call("KV.Range", **ALL, revision="R+4"),
        call("KV.Range", **ALL, revision="R+5"),
        LOOK,
        call("KV.Txn", success=[{"request_range": {"key": "a", "revision": "R+3"}}]),
        call(
            "KV.Txn",
            success=[
                {"request_put": {"key": "x"}},
                {"request_range": {"key": "a", "revision": "R+3"}},
            ],
        ),
        call("KV.Compact", revision="R+7", physical=True),
        call("KV.Range", **ALL, revision="R+6"),
        call("KV.Range", **ALL, revision="R+7"),
        call("KV.Put", key="b", prev_kv=True),
        LOOK,
        needs=Needs.DISTURBING,
    ),
)
BAD_CALLS: Final = (
    Case(
        "keys/unknown_methods",
        tuple(
            Call(method=path, data=b"")
            for path in (
                "/etcdserverpb.KV/Nonsense",
                "/etcdserverpb.Nonsense/Put",
                "/a/b/c",
                "/etcdserverpb.KV/Put",
                "/grpc.health.v1.Health/Nonsense",
            )
        ),
    ),
    Case(
        "keys/unreadable_requests",
        tuple(Call(method="KV.Put", data=data) for data in (b"\xff\xff\xff", b"\x0a\x05ab")),
    ),
)
CASES: Final = (*RANGES, *PUTS, *DELETIONS, *COMPACTIONS, *BAD_CALLS)
