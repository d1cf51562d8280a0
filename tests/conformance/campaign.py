"""A long search for differences: python -m tests.conformance.campaign [MINUTES]

Each round begins anew at random. The first difference is made small, told, and ends the search with exit code 1.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis import strategies as st

from raftwerk.cli.cluster import LocalCluster, free_ports
from raftwerk.conformance.difference import what
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.steps import Case
from raftwerk.conformance.suite import Site
from tests.conformance.pair import Pair
from tests.conformance.random_auth import auth_cases
from tests.conformance.random_steps import cases
from tests.interop.etcd_cluster import running_etcd

ROUND = settings(
    max_examples=500,
    derandomize=False,
    database=None,
    deadline=None,
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)
CHEAP = "--bcrypt-cost=4"


def search(pair: Pair, minutes: float) -> int:
    """How many cases were played without a difference. Raises AssertionError with the first."""
    played = 0

    @ROUND
    @given(case=st.one_of(cases(), cases(), auth_cases()))
    def check(case: Case) -> None:
        nonlocal played
        try:
            pair.check(case)
        except AssertionError as error:
            steps = "\n".join(what(step) for step in case.steps)
            raise AssertionError(f"{error}\n{steps}") from error
        played += 1

    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        check()
        print(f"{played} cases", flush=True)
    return played


def main() -> int:
    """Both as one node each."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        folder = Path(name)
        cluster = LocalCluster(folder / "raftwerk", free_ports(1), [CHEAP])
        cluster.start_all()
        try:
            cluster.wait_ready()
            with running_etcd(folder, 1) as (etcd,):

                async def connect() -> list[Site]:
                    members = (etcd, cluster.members[0])
                    return [Site(ClientEndpoint(member.client_url)) for member in members]

                reference, site = runner.run(connect())
                print(f"{search(Pair(runner, reference, [site]), minutes)} cases, no difference")
        except AssertionError as error:
            print(f"a difference: {error}")
            return 1
        finally:
            cluster.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
