"""The flags of etcd 3.5 and 3.6 that raftwerk does not carry out: each is ignored or refused, with a reason.

Ignored is what changes nothing that a user relies on. Refused is what would make the member something else than was
asked for: another cluster, another place for the data, plain text instead of TLS.
"""

from dataclasses import dataclass
from typing import Final

from raftwerk.errors import UsageError

_IGNORED: Final = {
    "the store is not bbolt": """
        backend-bbolt-freelist-type backend-batch-interval backend-batch-limit bbolt-mlock
        bootstrap-defrag-threshold-megabytes experimental-bootstrap-defrag-threshold-megabytes
        experimental-memory-mlock memory-mlock experimental-stop-grpc-service-on-defrag
        experimental-txn-mode-write-with-shared-buffer feature-gates""",
    "compaction runs in small slices by itself": """
        compaction-batch-limit compaction-sleep-interval experimental-compaction-batch-limit
        experimental-compaction-sleep-interval""",
    "parts of the log are removed when nobody needs them": """
        max-snapshots max-wals experimental-snapshot-catchup-entries snapshot-catchup-entries""",
    "every write is synced": "unsafe-no-fsync",
    "every election begins with a pre-vote": "pre-vote",
    "a lone member elects itself at once, others wait for one timeout": "initial-election-tick-advance",
    "members cannot be changed at run time yet": """
        strict-reconfig-check experimental-max-learners max-learners""",
    "checksums are always checked": """
        compact-hash-check-time experimental-compact-hash-check-enabled
        experimental-compact-hash-check-time experimental-initial-corrupt-check""",
    "no lease begins anew with a new leader": """
        experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist""",
    "there is no v2 API": "enable-v2 experimental-enable-v2v3 v2-deprecation",
    "there is no downgrade": "downgrade-check-time experimental-downgrade-check-time",
    "there is no discovery service": "discovery-fallback discovery-proxy",
    "the end of a connection is checked by its certificate's names": """
        experimental-peer-skip-client-san-verification peer-skip-client-san-verification""",
    "it has no proxy": """
        proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval proxy-write-timeout""",
    "all metrics are always there": "metrics",
    "the log goes to standard error, one line an event": """
        logger log-outputs log-package-levels debug enable-log-rotation log-rotation-config-json
        experimental-warning-apply-duration experimental-warning-unary-request-duration warning-apply-duration
        warning-unary-request-duration""",
    "there is no tracing or profiling": """
        enable-pprof enable-distributed-tracing experimental-distributed-tracing-address
        experimental-distributed-tracing-instance-id experimental-distributed-tracing-sampling-rate
        experimental-distributed-tracing-service-name experimental-enable-distributed-tracing
        distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate
        distributed-tracing-service-name""",
    "gRPC and HTTP/1.1 are always served on the client URLs": "enable-grpc-gateway",
    "connections have limits of their own": """
        max-concurrent-streams socket-reuse-address socket-reuse-port experimental-set-member-localaddr
        set-member-localaddr""",
    "it is ready when the log says so": "experimental-wait-cluster-ready-timeout wait-cluster-ready-timeout",
}

_REFUSED: Final = {
    "who may connect is said by --trusted-ca-file alone, and nobody must get in who would not": """
        client-cert-allowed-hostname peer-cert-allowed-cn peer-cert-allowed-hostname""",
    "a member shows the same certificate when it dials: use --peer-cert-file": """
        client-cert-file client-key-file peer-client-cert-file peer-client-key-file""",
    "ciphers are those of OpenSSL's defaults": "cipher-suites",
    "there is no configuration file: use flags or ETCD_* variables": "config-file",
    "there is no discovery: name all members with --initial-cluster": """
        discovery discovery-cacert discovery-cert discovery-dial-timeout discovery-endpoints
        discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time
        discovery-keepalive-timeout discovery-key discovery-password discovery-request-timeout discovery-srv
        discovery-srv-name discovery-token discovery-user""",
    "the log is kept in --data-dir, beside the store that belongs to it": "wal-dir",
    "one port serves gRPC and HTTP/1.1: use --listen-client-urls": "listen-client-http-urls",
    "there is no proxy: clients know all endpoints": "proxy",
    "no cluster is made from one member's data": "force-new-cluster",
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SWITCHES: Final = _words(
    """
    bbolt-mlock debug discovery-insecure-skip-tls-verify
    discovery-insecure-transport enable-distributed-tracing enable-grpc-gateway enable-log-rotation enable-pprof
    enable-v2 experimental-compact-hash-check-enabled experimental-enable-distributed-tracing
    experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist
    experimental-initial-corrupt-check experimental-memory-mlock
    experimental-peer-skip-client-san-verification experimental-set-member-localaddr
    experimental-stop-grpc-service-on-defrag experimental-txn-mode-write-with-shared-buffer force-new-cluster
    initial-election-tick-advance memory-mlock
    peer-skip-client-san-verification pre-vote set-member-localaddr socket-reuse-address socket-reuse-port
    strict-reconfig-check unsafe-no-fsync
    """
)
"""Those that stand without a value."""

TRUE: Final = _words("1 t T true TRUE True")
FALSE: Final = _words("0 f F false FALSE False")
_OFF: Final = FALSE | {"", "off"}
"""Values with which a refused flag asks for nothing."""


@dataclass(frozen=True, slots=True)
class EtcdFlag:
    """reason: why it is ignored, or refused unless its value asks for nothing."""

    name: str
    reason: str
    is_refused: bool
    is_switch: bool

    def judge(self, text: str, source: str) -> str | None:
        """The warning that it is ignored, None if there is nothing to say. Raises UsageError when it is refused.

        source: the flag or variable as it was given.
        """
        if self.is_switch and text not in TRUE | FALSE:
            raise UsageError(f"{source}: {text!r} is neither true nor false")
        if not self.is_refused:
            return f"{source} is ignored: {self.reason}"
        if text not in _OFF:
            raise UsageError(f"{source}: {self.reason}")
        return None


def _flags(groups: dict[str, str], *, is_refused: bool) -> dict[str, EtcdFlag]:
    return {
        name: EtcdFlag(name, reason, is_refused, name in _SWITCHES)
        for reason, names in groups.items()
        for name in names.split()
    }


ETCD_FLAGS: Final = _flags(_IGNORED, is_refused=False) | _flags(_REFUSED, is_refused=True)
"""By name, without dashes."""
