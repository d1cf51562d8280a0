"""Asks a real etcd, and writes its answers down: python -m tests.conformance.record [AREA ...]"""

import asyncio
import sys
import tempfile
from pathlib import Path

from raftwerk.conformance import recording
from raftwerk.conformance.catalogue import AREAS
from raftwerk.conformance.endpoint import ClientEndpoint
from raftwerk.conformance.suite import Site
from tests.interop.etcd_cluster import running_etcd


async def record(address: str, areas: list[str]) -> None:
    endpoint = ClientEndpoint(address)
    site = Site(endpoint)
    for area in areas:
        answers = {}
        for case in AREAS[area]:
            try:
                answers[case.name.partition("/")[2]] = await site.play(case)
            except Exception as error:
                raise RuntimeError(case.name) from error
        file = Path(str(recording.folder())) / f"{area}.json"
        file.write_text(recording.text_of(answers), encoding="utf-8")
        print(f"{file}: {len(answers)} cases")
    await endpoint.close()


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_etcd(Path(folder), 1) as (member,),
    ):
        asyncio.run(record(member.client_url, sys.argv[1:] or list(AREAS)))


if __name__ == "__main__":
    main()
