"""HTTP/1.1 on the client port: the JSON gateway and the pages beside it."""

from typing import Final

from raftwerk.conformance.steps import Case, Http, Needs, setup

A: Final = '"key":"<key:a>"'
X: Final = '"key":"<key:x>"'


def gateway(name: str, *requests: tuple[str, str], needs: Needs = Needs.NOTHING) -> Case:
    """Of v3; and of v3beta, which is the same."""
    steps = tuple(Http("POST", f"/v3{path}", body) for path, body in requests)
    return Case(f"http/{name}", steps, needs)


KV: Final = (
    gateway(
        "put",
        ("/kv/put", f'{{{A},"value":"MQ=="}}'),
        ("/kv/put", f'{{{A},"value":"Mg==","prev_kv":true,"nonsense":1}}'),
        ("/kv/put", f'{{{A},"ignoreValue":true}}'),
        ("/kv/range", f"{{{A}}}"),
    ),
    gateway(
        "put_refused",
        ("/kv/put", '{"value":"MQ=="}'),
        ("/kv/put", f'{{{X},"ignore_value":true}}'),
        ("/kv/put", f'{{{X},"lease":"<L+9>"}}'),
        ("/kv/put", f'{{{X},"value":"MQ==","ignore_value":true}}'),
    ),
    gateway(
        "range",
        ("/kv/put", '{"key":"<key:a1>","value":"MQ=="}'),
        ("/kv/put", '{"key":"<key:a2>","value":""}'),
        ("/kv/range", f'{{{A},"range_end":"<key:b>"}}'),
        ("/kv/range", f'{{{A},"range_end":"<key:b>","sort_order":"DESCEND","limit":1}}'),
        ("/kv/range", f'{{{A},"range_end":"<key:b>","sort_order":2,"limit":"1"}}'),
        ("/kv/range", '{"key":"<key:a1>","keys_only":true,"serializable":true}'),
        ("/kv/range", '{"key":"<key:a1>","count_only":true}'),
        ("/kv/range", '{"key":"<key:z>"}'),
    ),
    gateway(
        "range_refused",
        ("/kv/range", ""),
        ("/kv/range", "{}"),
        ("/kv/range", f'{{{A},"revision":"<R+1000>"}}'),
    ),
    gateway(
        "txn",
        (
            "/kv/txn",
            (
                f'{{"compare":[{{"target":"CREATE",{A},"create_revision":"0"}}],"success":'
                f'[{{"request_put":{{{A},"value":"MQ=="}}}},{{"requestRange":{{{A}}}}}]}}'
            ),
        ),
        (
            "/kv/txn",
            (
                f'{{"compare":[{{"target":"VALUE",{A},"value":"Mg==","result":"GREATER"}}],'
                f'"success":[{{"request_put":{{{A}}}}}],'
                f'"failure":[{{"request_delete_range":{{{A},"prev_kv":true}}}}]}}'
            ),
        ),
        ("/kv/txn", "{}"),
        ("/kv/txn", '{"success":[{}]}'),
        ("/kv/txn", f'{{"success":[{{"request_put":{{{A}}}}},{{"request_put":{{{A}}}}}]}}'),
    ),
    gateway(
        "deleterange",
        ("/kv/put", f'{{{A},"value":"MQ=="}}'),
        ("/kv/deleterange", f'{{{A},"prev_kv":true}}'),
        ("/kv/deleterange", f"{{{A}}}"),
        ("/kv/deleterange", "{}"),
    ),
    gateway("compaction_refused", ("/kv/compaction", '{"revision":"<R+1000>"}')),
    Case(
        "http/v3beta",
        (
            Http("POST", "/v3beta/kv/put", f'{{{A},"value":"MQ=="}}'),
            Http("POST", "/v3beta/kv/range", f"{{{A}}}"),
            Http("POST", "/v3beta/kv/range", "{}"),
            Http("POST", "/v3beta/lease/leases", "{}"),
        ),
    ),
)
OTHERS: Final = (
    Case(
        "http/leases",
        (
            setup("Lease.LeaseGrant", ID="L+1", TTL=600),
            *(
                Http("POST", f"/v3{path}", body)
                for path, body in (
                    ("/lease/grant", '{"TTL":"600","ID":"<L+1>"}'),
                    ("/lease/timetolive", '{"ID":"<L+1>","keys":true}'),
                    ("/kv/lease/timetolive", '{"ID":"<L+9>"}'),
                    ("/lease/keepalive", '{"ID":"<L+9>"}'),
                    ("/lease/leases", "{}"),
                    ("/kv/lease/leases", "{}"),
                    ("/lease/revoke", '{"ID":"<L+1>"}'),
                    ("/kv/lease/revoke", '{"ID":"<L+1>"}'),
                )
            ),
        ),
    ),
    Case(
        "http/contests",
        (
            setup("Lease.LeaseGrant", ID="L+1", TTL=600),
            *(
                Http("POST", f"/v3{path}", body)
                for path, body in (
                    ("/lock/lock", '{"name":"<key:n>","lease":"<L+1>"}'),
                    ("/lock/lock", '{"name":"<key:n>","lease":"<L+9>"}'),
                    ("/lock/unlock", '{"key":"<key:n/<L+1>>"}'),
                    ("/election/leader", '{"name":"<key:e>"}'),
                    ("/election/campaign", '{"name":"<key:e>","lease":"<L+1>","value":"MQ=="}'),
                    ("/election/leader", '{"name":"<key:e>"}'),
                    ("/election/proclaim", '{"value":"Mg=="}'),
                    ("/election/resign", "{}"),
                )
            ),
        ),
    ),
    gateway(
        "maintenance",
        ("/maintenance/alarm", "{}"),
        ("/maintenance/alarm", '{"action":"DEACTIVATE","alarm":"NOSPACE"}'),
        ("/maintenance/status", "{}"),
        ("/maintenance/hash", "{}"),
        ("/maintenance/downgrade", '{"action":"VALIDATE","version":"x"}'),
        ("/cluster/member/list", "{}"),
        ("/auth/status", "{}"),
        ("/auth/user/get", '{"name":"nobody"}'),
        ("/auth/role/get", '{"role":"nothing"}'),
        ("/auth/disable", "{}"),
        ("/auth/authenticate", '{"name":"nobody","password":"x"}'),
    ),
    gateway(
        "alarms",
        ("/maintenance/alarm", '{"action":"ACTIVATE","memberID":"5","alarm":"NOSPACE"}'),
        ("/maintenance/alarm", "{}"),
        ("/kv/put", f"{{{A}}}"),
        ("/lease/grant", '{"TTL":"60","ID":"<L+1>"}'),
        ("/kv/range", f"{{{A}}}"),
        ("/maintenance/alarm", '{"action":"DEACTIVATE","memberID":"5","alarm":"NOSPACE"}'),
        ("/maintenance/alarm", '{"action":"ACTIVATE","memberID":"6","alarm":"CORRUPT"}'),
        ("/kv/put", f"{{{A}}}"),
        ("/kv/txn", f'{{"success":[{{"request_range":{{{A}}}}}]}}'),
        ("/maintenance/alarm", '{"action":"DEACTIVATE","memberID":"6","alarm":"CORRUPT"}'),
        ("/kv/put", f"{{{A}}}"),
        needs=Needs.DISTURBING,
    ),
)
WRONG: Final = Case(
    "http/wrong_requests",
    tuple(
        Http(method, path, body, told=("status", "code"))
        for method, path, body in (
            ("POST", "/v3/kv/range", '{"key":"YQ'),
            ("POST", "/v3/kv/range", '{"key":"?"}'),
            ("POST", "/v3/kv/range", '{"key":"YQ"}'),
            ("POST", "/v3/kv/range", '{"key":5}'),
            ("POST", "/v3/kv/range", "nonsense"),
            ("POST", "/v3/kv/range", "[]"),
            ("POST", "/v3/kv/range", '{"limit":"x"}'),
            ("POST", "/v3/kv/range", '{"limit":1.5}'),
            ("POST", "/v3/kv/range", '{"sort_order":"SIDEWAYS"}'),
            ("POST", "/v3/kv/range", '{"keys_only":"true"}'),
            ("GET", "/v3/kv/range", ""),
            ("PUT", "/v3/kv/range", "{}"),
            ("OPTIONS", "/v3/kv/range", ""),
            ("POST", "/v3/nonsense", "{}"),
            ("POST", "/v3/kv/range/", "{}"),
            ("POST", "/v3alpha/kv/range", "{}"),
        )
    ),
)
UNKNOWN_PAGES: Final = ("/nonsense", "/health/", "/healthy", "/v2/keys")
PAGES: Final = (
    Case(
        "http/pages",
        tuple(
            Http(method, path, told=("status", "body"))
            for method, path in (
                ("GET", "/health"),
                ("GET", "/health?serializable=true"),
                ("GET", "/health?serializable=false"),
                ("GET", "/health?exclude=NOSPACE"),
                ("GET", "/health?exclude=NOSPACE&exclude=CORRUPT&serializable=true"),
                ("GET", "/health?unknown=1"),
                ("GET", "/version"),
            )
        ),
    ),
    Case(
        "http/pages_refused",
        tuple(
            Http(method, path, told=("status",))
            for method, path in (
                ("POST", "/health"),
                ("PUT", "/health"),
                ("DELETE", "/version"),
                ("POST", "/version"),
                *((method, path) for method in ("GET", "POST") for path in UNKNOWN_PAGES),
            )
        ),
    ),
)
CASES: Final = (*KV, *OTHERS, WRONG, *PAGES)
