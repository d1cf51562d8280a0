"""Txn: every compare, branches, reads among writes, keys that are written twice, nesting, limits."""

from typing import Any, Final

from raftwerk.conformance.cases.keys import ALL, LOOK, SEED
from raftwerk.conformance.steps import Call, Case, Plain, call

OPERANDS: Final = {
    "VERSION": "version",
    "CREATE": "create_revision",
    "MOD": "mod_revision",
    "VALUE": "value",
    "LEASE": "lease",
}
RESULTS: Final = ("EQUAL", "GREATER", "LESS", "NOT_EQUAL")
PLACES: Final[tuple[Plain, ...]] = (
    {"key": "a"},
    {"key": "b"},
    {"key": "x"},
    {"key": "a", "range_end": "c"},
    {"key": "x", "range_end": "z"},
    {"key": "b", "range_end": "\0"},
)
"""Keys and ranges that are there, and that are not."""


def put(key: str, value: str = "v", **options: Any) -> Plain:
    return {"request_put": {"key": key, "value": value, **options}}


def get(key: str, **options: Any) -> Plain:
    return {"request_range": {"key": key, **options}}


def delete(key: str, range_end: str = "", **options: Any) -> Plain:
    return {"request_delete_range": {"key": key, "range_end": range_end, **options}}


def nested(*success: Plain, **fields: Any) -> Plain:
    return {"request_txn": {"success": list(success), **fields}}


def txn(*success: Plain, **fields: Any) -> Call:
    return call("KV.Txn", success=list(success), **fields)


def case(name: str, *success: Plain, **fields: Any) -> Case:
    """One transaction, and what is there after it."""
    return Case(f"txns/{name}", (*SEED, txn(*success, **fields), LOOK))


FALSE: Final[Plain] = {"target": "VERSION", "key": "a", "version": 99}
IS_NEW: Final[Plain] = {"target": "VERSION", "key": "x", "version": 1}


def _compares(target: str, operand: str, value: object) -> Case:
    """Each result, at each place."""
    compares = [
        {"target": target, "result": result, **place, operand: value}
        for result in RESULTS
        for place in PLACES
    ]
    name = f"compare_{operand}_{value}".replace("+", "_").lower()
    return Case(f"txns/{name}", (*SEED, *(txn(compare=[one]) for one in compares)))


def _deep() -> Plain:
    deep = nested(put("deep"))
    for _ in range(20):
        deep = nested(deep)
    return deep


COMPARES: Final = (
    _compares("VERSION", "version", 1),
    _compares("VERSION", "version", 0),
    _compares("CREATE", "create_revision", "R+2"),
    _compares("CREATE", "create_revision", 0),
    _compares("MOD", "mod_revision", "R+5"),
    _compares("MOD", "mod_revision", 0),
    _compares("VALUE", "value", "1"),
    _compares("VALUE", "value", ""),
    _compares("LEASE", "lease", 0),
    _compares("LEASE", "lease", 7),
    Case(
        "txns/compares_joined",
        (
            *SEED,
            txn(compare=[IS_NEW, FALSE]),
            txn(compare=[FALSE, IS_NEW]),
            txn(compare=[{**FALSE, "version": 1}, {**FALSE, "result": "LESS"}]),
            txn(compare=[{}]),
            txn(compare=[{"key": "a", "target": "VALUE"}]),
            txn(compare=[{"key": "a", "target": "VERSION", "value": "1"}]),
        ),
    ),
)
BRANCHES: Final = (
    case("empty"),
    case("empty_operation", {}),
    case("success", put("a"), get("a"), compare=[{**FALSE, "version": 1}], failure=[put("x")]),
    case("failure", put("a"), compare=[FALSE], failure=[delete("b"), get("b")]),
    case("empty_key_in_other_branch", put("a"), failure=[put("")]),
    case("duplicate_in_other_branch", put("x"), failure=[put("b"), put("b")]),
    case("same_key_in_both_branches", put("a"), failure=[put("a")]),
    case("lease_in_branch_not_taken", put("a", lease="L+9"), compare=[FALSE], failure=[put("x")]),
    case("reads_see_writes", get("a"), put("a", "2"), get("a"), delete("b"), get(**ALL)),
    case("read_only", get("a"), get(**ALL, limit=2), get("x")),
    case("read_only_serializable", get("a", serializable=True), get("b", serializable=True)),
    case("read_at_revision", put("a", "2"), get("a", revision="R+1")),
    case("read_future", put("a", "2"), get("a", revision="R+1000")),
    case("read_future_only", get("a", revision="R+1000")),
    case("read_own_revision", put("a", "2"), get("a", revision="R+7")),
    case("put_and_serializable_read", put("x"), get("x", serializable=True)),
    case("prev_kv", put("a", "2", prev_kv=True), put("x", prev_kv=True)),
    case("delete_prev_kv", delete("a", "c", prev_kv=True)),
    case("ignore_value", put("a", "", ignore_value=True), put("x", "1")),
    case("ignore_value_with_value", put("a", ignore_value=True)),
    case("ignore_value_of_no_key", put("b"), put("x", "", ignore_value=True)),
    case("ignore_lease_of_no_key", put("b"), put("x", ignore_lease=True)),
    case("unknown_lease", put("b"), put("a", lease="L+9")),
    case("put_of_empty_value", put("a", "")),
    case("range_without_key", put("a"), {"request_range": {}}),
    case("delete_without_key", put("a"), {"request_delete_range": {}}),
)
TWICE: Final = (
    case("put_twice", put("a"), put("a")),
    case("put_and_delete", put("a"), delete("a")),
    case("delete_and_put", delete("a"), put("a")),
    case("put_and_delete_range", put("b"), delete("a", "c")),
    case("delete_twice", delete("a"), delete("a")),
    case("delete_overlaps_delete", delete("a", "c"), delete("b")),
    case("delete_from_key_and_put", delete("a", "\0"), put("b")),
    case("delete_backward_and_put", delete("c", "a"), put("b")),
    case("delete_after_put_sibling", nested(put("x")), nested(delete("x"))),
    case("put_then_put_in_failure_of_nested", put("x"), nested(failure=[put("x")])),
)
NESTED: Final = (
    case("nested", put("x"), nested(get("x"), put("y"), delete("a")), get("y")),
    case("nested_failure", put("x"), nested(put("y"), compare=[IS_NEW], failure=[put("z")])),
    case("nested_sees_own_writes", put("x"), nested(put("y"), compare=[IS_NEW])),
    case("nested_read_only", nested(get("a"), nested(get("b")))),
    case("nested_empty", nested()),
    case("nested_deep", _deep()),
    case("nested_duplicate", put("x"), nested(put("x"))),
    case("nested_duplicate_sibling", nested(put("x")), nested(put("x"))),
    case("nested_delete_of_put", put("x"), nested(delete("w", "z"))),
    case("nested_put_of_delete", delete("w", "z"), nested(put("x"))),
    case("nested_exclusive_branches", nested(put("x"), failure=[put("x")])),
    case("nested_exclusive_delete", nested(put("x"), failure=[delete("x")])),
    case("nested_put_after_delete_sibling", nested(delete("a", "c")), nested(put("b"))),
    case("nested_put_beside_delete_sibling", nested(delete("a", "c")), nested(put("c"))),
    case(
        "nested_deletes_joined",
        nested(delete("a", "c")),
        nested(delete("c", "e")),
        nested(put("d")),
    ),
    case("nested_bad_key", put("x"), nested(put(""))),
    case("nested_future_revision", put("x"), nested(get("a", revision="R+1000"))),
    case("nested_unknown_lease", put("x"), nested(put("y", lease="L+9"))),
)
LIMITS: Final = (
    case("128_operations", *(put(f"k{number}") for number in range(128))),
    case("129_operations", *(get("a") for _ in range(129))),
    case("128_compares", compare=[FALSE] * 128),
    case("129_compares", compare=[FALSE] * 129),
    case("129_in_other_branch", failure=[get("a")] * 129),
    case("128_over_levels", *[get("a")] * 100, nested(*[get("b")] * 27)),
    case("129_over_levels", *[get("a")] * 100, nested(*[get("b")] * 28)),
    case("too_large", *(put(f"k{number}", "x" * 20_000) for number in range(100))),
)
UNKNOWN: Final[Plain] = {"key": "a", "target": 9}
"""Taken for true by etcd, and refused by raftwerk: where something else is wrong, both say that."""
UNKNOWN_COMPARES: Final = (
    Case(
        "txns/unknown_compare_and_another_fault",
        (
            *SEED,
            txn(compare=[{"target": 9}]),
            txn(compare=[UNKNOWN, {}]),
            txn(put(""), compare=[{"key": "a", "result": 9}]),
            txn(put("a", ignore_value=True), compare=[{"key": "a", "target": -1}]),
            txn({}, compare=[UNKNOWN]),
            txn(put("x"), put("x"), compare=[UNKNOWN]),
            txn(compare=[UNKNOWN], failure=[put("x"), delete("x")]),
            txn(nested(put("x"), compare=[UNKNOWN]), put("x")),
            txn(nested(compare=[UNKNOWN]), put("")),
            txn(compare=[UNKNOWN] * 129),
            txn(*[get("a")] * 129, compare=[UNKNOWN]),
            txn(*[get("a")] * 100, nested(*[get("b")] * 28), compare=[UNKNOWN]),
            LOOK,
        ),
    ),
)
CASES: Final = (*COMPARES, *BRANCHES, *TWICE, *NESTED, *LIMITS, *UNKNOWN_COMPARES)
