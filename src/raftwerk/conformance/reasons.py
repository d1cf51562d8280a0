"""Why raftwerk answers something else than etcd 3.5.1 in a few places: docs/conformance.md tells them too."""

from typing import Final

WATCH_ID: Final = (
    "etcd 3.5.1 refuses a watch under an id that may be another's; later releases say -1"
)
WATCH_REASON: Final = (
    "etcd 3.5.1 does not tell a watch that a token is what it needs; later releases do"
)
WATCH_FROM_KEY: Final = (
    "etcd 3.5.1 checks a watch without an end as one of a single key: a bug, fixed later"
)
NEGATIVE_START: Final = (
    "etcd 3.5.1 starts a watch at a negative revision now; later releases refuse it"
)
TWO_ALARMS: Final = "etcd forgets an alarm when another one is disarmed; raftwerk keeps it"
TOKEN_WITHOUT_AUTH: Final = (
    "etcd 3.5.1 refuses unknown tokens though auth is disabled; later releases take them"
)
NESTED_TXN: Final = "etcd 3.5.1 does not check nested transactions: a bug, fixed later"
TXN_PUT: Final = (
    "etcd 3.5.1 does not check prev_kv and lease of puts in transactions: a bug, fixed later"
)
LEASE_KEYS: Final = (
    "etcd 3.5.1 tells everybody the keys of a lease; later releases those who may read them"
)
ADMINISTRATION: Final = (
    "etcd 3.5.1 lets every user compact, raise alarms and move the leader; raftwerk asks for root"
)
OTHER_TEXT: Final = (
    "etcd has another code and text for 'permission denied' here; raftwerk has the usual ones"
)
