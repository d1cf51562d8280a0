"""The command lines of etcdctl that are run on both clusters; a pair is a command line and its standard input.

R+n in a command line is the n-th revision after the start of the case.
"""

Step = str | tuple[str, str]

SOME = "SOME"
"""In place of a command line: put the keys of GrpcClient.seed."""

_PUT: dict[str, list[Step]] = {
    "put": ["put a 1", "get a"],
    "put_prev_kv": ["put a 1 --prev-kv", "put a 2 --prev-kv", "put a 3 --prev-kv -w json"],
    "put_ignore_value": ["put a 1", "put a --ignore-value", "get a -w json"],
    "put_ignore_value_of_no_key": ["put a --ignore-value"],
    "put_ignore_value_with_value": ["put a 1 --ignore-value"],
    "put_ignore_lease": ["put a 1", "put a 2 --ignore-lease", "get a -w json"],
    "put_ignore_lease_of_no_key": ["put a 1 --ignore-lease"],
    "put_unknown_lease": ["put a 1 --lease=1234", "get a"],
    "put_malformed_lease": ["put a 1 --lease=zz"],
    "put_stdin": [("put a", "from stdin\nwith lines"), "get a -w json"],
    "put_empty_key": ["put '' 1"],
    "put_empty_value": ["put a ''", "get a", "get a -w json"],
    "put_odd_bytes": [
        "put 'ключ \t' 'значение'",
        "get 'ключ \t' --hex",
        "get --prefix '' -w fields",
    ],
    "put_json": ["put a 1 -w json", "put a 1 -w fields", "put a 2 -w table"],
    "put_too_large": [("put a", "x" * 1_600_000)],
    "put_no_argument": ["put"],
}

_GET: dict[str, list[Step]] = {
    "get_missing": ["get a", "get a -w json", "get a -w fields", "get a --count-only -w json"],
    "get_prefix": [SOME, "get a --prefix", "get '' --prefix"],
    "get_from_key": [SOME, "get b --from-key", "get '' --from-key"],
    "get_prefix_and_from_key": ["get a --prefix --from-key"],
    "get_range": [SOME, "get a c", "get b b", "get c a"],
    "get_limit": [
        SOME,
        "get '' --prefix --limit=2 -w json",
        "get '' --prefix --limit=6 -w json",
        "get a --prefix --limit=1",
    ],
    "get_keys_only": [SOME, "get '' --prefix --keys-only", "get '' --prefix --keys-only -w json"],
    "get_count_only": [
        SOME,
        "get '' --prefix --count-only -w fields",
        "get '' --prefix --count-only -w json",
        "get '' --prefix --count-only --limit=2 -w json",
        "get '' --prefix --count-only",
    ],
    "get_value_only": [SOME, "get '' --prefix --print-value-only"],
    "get_consistency": [
        SOME,
        "get a --consistency=s",
        "get a --consistency=l",
        "get a --consistency=x",
    ],
    "get_rev": [
        SOME,
        "get '' --prefix --rev=R+3 -w json",
        "get b --rev=R+2",
        "get b --rev=0",
        "get b --rev=-1",
    ],
    "get_future_rev": ["get a --rev=1000000", "get a --rev=1000000 --consistency=s"],
    "get_hex": [SOME, "get '' --prefix --hex"],
    "get_formats": [
        SOME,
        "get '' --prefix -w simple",
        "get '' --prefix -w json",
        "get '' --prefix -w fields",
        "get '' --prefix -w table",
        "get '' --prefix -w nonsense",
    ],
    "get_empty_key": ["get ''"],
    "get_bad_sort": ["get a --order=SIDEWAYS", "get a --sort-by=COLOUR"],
    "get_sort_needs_all": [
        SOME,
        "get '' --prefix --sort-by=VALUE --order=DESCEND --limit=2 -w json",
    ],
    **{
        f"get_sort_{order.lower()}": [
            SOME,
            *(
                f"get '' --prefix --sort-by={target} --order={order} -w json"
                for target in ("CREATE", "KEY", "MODIFY", "VALUE", "VERSION")
            ),
            f"get '' --prefix --sort-by=VALUE --order={order} --limit=3 -w json",
        ]
        for order in ("ASCEND", "DESCEND")
    },
    "get_sort_by_default_order": [
        SOME,
        "get '' --prefix --sort-by=VALUE",
        "get '' --prefix --order=DESCEND",
    ],
}

_DEL: dict[str, list[Step]] = {
    "del": [SOME, "del a", "del a", "del a -w json", "get '' --prefix -w json"],
    "del_prefix": [SOME, "del a --prefix", "get '' --prefix -w json"],
    "del_prev_kv": [SOME, "del a --prefix --prev-kv", "del b --prev-kv -w json", "del x --prev-kv"],
    "del_from_key": [SOME, "del b --from-key", "get '' --prefix -w json"],
    "del_range": [SOME, "del a c -w fields", "get '' --prefix -w json", "del d a"],
    "del_empty_key": ["del ''"],
    "del_then_put": ["put a 1", "put a 2", "del a", "put a 3", "get a -w json"],
}


def _txn(compares: str, success: str, failure: str, flags: str = "") -> Step:
    return f"txn {flags}", f"{compares}\n\n{success}\n\n{failure}\n\n"


_TXN: dict[str, list[Step]] = {
    **{
        f"txn_{name}": [
            SOME,
            _txn(compare, "get a\nput a new\nget a", "get b\ndel b --prev-kv", "-w json"),
            "get '' --prefix -w json",
        ]
        for name, compare in (
            ("value_equal", 'value("a") = "1"'),
            ("value_greater", 'value("a") > "0"'),
            ("value_less", 'value("a") < "0"'),
            ("value_not_equal", 'value("a") != "1"'),
            ("value_of_no_key", 'value("zz") != "1"'),
            ("version", 'version("b") = "2"'),
            ("version_of_no_key", 'ver("zz") = "0"'),
            ("create", 'create("a") > "1"'),
            ("mod", 'mod("a") < "2"'),
            ("several", 'mod("a") > "0"\nversion("b") = "1"'),
        )
    },
    "txn_interactive": [
        SOME,
        _txn('version("a") = "1"', "put a 2\nget a", "get b", "--interactive"),
    ],
    "txn_simple": [SOME, _txn('version("a") = "1"', "put a 2\nget a\ndel b", "get b")],
    "txn_fields": [
        SOME,
        _txn('version("a") = "7"', "put a 2", "get b\nput c 4\ndel d", "-w fields"),
    ],
    "txn_empty": [_txn("", "", ""), _txn("", "", "", "-w json")],
    "txn_read_only": [SOME, _txn("", "get a\nget '' --prefix", "", "-w json")],
    "txn_duplicate_key": [_txn("", "put a 1\nput a 2", "")],
    "txn_put_and_delete": [_txn("", "put a 1\ndel a", ""), _txn("", "del a\nput a 1", "")],
    "txn_delete_range_of_put": [_txn("", "put b 1\ndel a c", "")],
    "txn_delete_twice": [SOME, _txn("", "del a\ndel a", "", "-w json")],
    "txn_too_many_ops": [_txn("", "\n".join(f"put k{n} v" for n in range(129)), "")],
    "txn_most_ops": [_txn("", "\n".join(f"put k{n} v" for n in range(128)), "")],
    "txn_unknown_lease": [_txn("", "put b 1\nput a 1 --lease=77", ""), "get b"],
    "txn_ignore_value_of_no_key": [_txn("", "put b 1\nput a --ignore-value", ""), "get b"],
    "txn_future_rev": [_txn("", "put b 1\nget a --rev=1000000", ""), "get b"],
    "txn_bad_compare": [_txn('colour("a") = "1"', "get a", "")],
    "txn_prev_kv": [SOME, _txn("", "put a 9 --prev-kv\ndel b --prev-kv", "", "-w json")],
}

_COMPACTION: dict[str, list[Step]] = {
    "compaction_future": ["compaction 1000000"],
    "compaction_of_nothing": ["compaction 0", "compaction -- -1", "compaction x"],
    "compaction": [
        "put a 1",
        "put a 2",
        "put b 1",
        "del b",
        "put b 2",
        "compaction R+3",
        "compaction R+3",
        "compaction R+2",
        "get a --rev=R+2",
        "get a --rev=R+2 --consistency=s",
        "get '' --prefix --rev=R+3 -w json",
        "get '' --prefix --rev=R+4 -w json",
        "get '' --prefix -w json",
        _txn("", "get a --rev=1", ""),
        "compaction R+4 --physical",
        "get '' --prefix --rev=R+4 -w json",
    ],
}

_CLUSTER: dict[str, list[Step]] = {
    "endpoint_health": ["endpoint health", "@ endpoint health", "endpoint health --cluster"],
    "alarm": ["alarm list", "alarm disarm"],
}

CASES: dict[str, list[Step]] = {**_PUT, **_GET, **_DEL, **_TXN, **_COMPACTION, **_CLUSTER}
