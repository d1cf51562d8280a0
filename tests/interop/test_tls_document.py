"""docs/tls.md: what it shows runs as it stands there, but for the ports."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from raftwerk.cli.cluster import free_ports
from tests.documents import python_in, shell_in
from tests.interop.etcd_cluster import PROGRAMS

CERTIFICATES, MEMBERS, RAFTWERK, ETCDCTL, USERS = shell_in("tls.md")
(PYTHON,) = python_in("tls.md")
READY = "for number in 1 2 3; do until grep --quiet 'ready to serve' node$number.log; do sleep 0.1; done; done\n"
STRANGER = "unset {RAFTWERK,ETCDCTL}_{CERT,KEY}; raftwerk get greeting && exit 1\nexit 0\n"


def test_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "raftwerk").write_text(f'#!/bin/sh\nexec {sys.executable} -m raftwerk.cli "$@"\n')
    (tmp_path / "raftwerk").chmod(0o755)
    example = f"{sys.executable} example.py\n"
    script = CERTIFICATES + MEMBERS + READY + RAFTWERK + ETCDCTL + example + USERS + STRANGER
    ports = dict(zip(("", "2", "3"), free_ports(3), strict=True))

    def free(match: re.Match[str]) -> str:
        client, peer = ports[match[1]]
        return str(client if match[2] == "2379" else peer)

    for name in ("example.py", "script"):
        text = script if name == "script" else PYTHON
        (tmp_path / name).write_text(re.sub(r"\b([23]?)(2379|2380)\b", free, text))
    code, output = run(tmp_path)
    assert code == 0, output
    assert output.count("hello\n") == 3, output
    assert output.count("ada\nroot\n") == 1, output
    assert output.count("is healthy") == 3, output
    assert "perhaps it wants a certificate" in output


def run(folder: Path) -> tuple[int, str]:
    """Code and output of the script, whose members end with it."""
    path = f"{folder}:{PROGRAMS}:{os.environ['PATH']}"
    variables = {name: value for name, value in os.environ.items() if "ETCD" not in name}
    with (folder / "output").open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-e", "script"],
            cwd=folder,
            env=variables | {"PATH": path},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = shell.wait(timeout=100)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return code, (folder / "output").read_text()
