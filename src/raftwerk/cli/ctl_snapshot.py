"""`raftwerk snapshot`: copies of the state, saved from a member, looked at, and restored for a new cluster."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, BinaryIO, Final, TypeVar

import typer

from raftwerk.cli import flags
from raftwerk.cli.ctl_shell import INT64_MAX, AsJson, Shell, connected, print_table
from raftwerk.client import Client
from raftwerk.errors import CorruptData, DataDirError, RaftwerkError, UsageError
from raftwerk.runtime import snapshot_file

NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
"""How a file is made; for its owner alone, since all keys and the hashes of passwords are in it."""
T = TypeVar("T")

snapshot = typer.Typer(help="Copies of the state.", no_args_is_help=True)


@snapshot.command("save")
@connected
def snapshot_save(
    shell: Shell,
    path: Path,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Of a member that cannot be asked: what its last checkpoint holds."),
    ] = None,
) -> None:
    """The state of one member, the endpoint, into a file that is there whole or not at all, and that others cannot read."""
    if data_dir is not None:
        _or_exit(lambda: _save_from(data_dir, path))
        return

    async def action(client: Client) -> int:
        _check_members(shell)
        with _new_file(path) as file:
            async for piece in client.maintenance.snapshot():
                file.write(piece)
        return 0

    shell.run(action, timeout_s=60.0)


def _save_from(folder: Path, path: Path) -> None:
    with _new_file(path) as file:
        for piece in snapshot_file.of_folder(folder):
            file.write(piece)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """What is written into it stands at `path` afterwards, whole, or nothing new does."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is there and is no file: it would be replaced")
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)  # of a save that was killed; its mode may be another
        with os.fdopen(os.open(part, NEW, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        _check_copy(part, path)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    print(f"snapshot of {size} bytes saved at {path}")


def _check_copy(part: Path, path: Path) -> None:
    """Before it takes the place of an older one."""
    try:
        snapshot_file.check_copy(part)
    except DataDirError as error:
        raise DataDirError(f"nothing was saved at {path}: what was to be, {error}") from error


def _check_members(shell: Shell) -> None:
    if len(shell.addresses) > 1:
        members = ", ".join(shell.addresses)
        raise UsageError(f"a snapshot is of one member: choose one of {members}, with --endpoints")


@snapshot.command("status")
def snapshot_status(path: Path, as_json: AsJson = False) -> None:
    """What is in a file, after a check that it is whole."""
    facts = asdict(_or_exit(lambda: snapshot_file.look_at(path)))
    if as_json:
        print(json.dumps(facts))
        return
    names = ("revision", "compacted_revision", "keys", "rows", "file_bytes")
    row = (facts["digest"][:16], *(str(facts[name]) for name in names))
    print_table(("SHA-256", "revision", "compacted", "keys", "rows", "bytes"), [row])


@snapshot.command("restore")
def snapshot_restore(
    path: Path,
    name: Annotated[str, typer.Option(help="Of the member that is made.")] = "default",
    data_dir: Annotated[str, typer.Option(help="Its folder (default: NAME.raftwerk).")] = "",
    initial_cluster: Annotated[
        str, typer.Option(help="All members of the new cluster: NAME=URL,NAME=URL,...")
    ] = "",
    initial_cluster_token: Annotated[
        str, typer.Option(help="Another one for each cluster made from the same file.")
    ] = "etcd-cluster",
    initial_advertise_peer_urls: Annotated[
        str, typer.Option(help="Where the other members find this one.")
    ] = "",
    bump_revision: Annotated[
        int,
        typer.Option(
            min=0, max=INT64_MAX // 2, help="Go on so many revisions after the snapshot's."
        ),
    ] = 0,
    mark_compacted: Annotated[
        bool,
        typer.Option("--mark-compacted", help="Let nobody read or watch what is older than that."),
    ] = False,
) -> None:
    """Make the data folder of a member of a new cluster. Do it for each of its members, from the same file."""
    given = {
        "name": name,
        "data-dir": data_dir,
        "initial-cluster": initial_cluster,
        "initial-cluster-token": initial_cluster_token,
        "initial-advertise-peer-urls": initial_advertise_peer_urls,
    }

    def restore() -> Path:
        arguments = [f"--{flag}={value}" for flag, value in given.items() if value]
        settings, _ = flags.parse(arguments, {})
        snapshot_file.restore(
            path, settings, bump_revision=bump_revision, mark_compacted=mark_compacted
        )
        return settings.data_dir

    folder = _or_exit(restore)
    print(f"restored to {folder}: start the member with the same flags")
    print(
        "It is of a new cluster, all of whose members have to be restored from this same file: "
        "one that an old cluster has lost cannot be brought back so."
    )


def _or_exit(action: Callable[[], T]) -> T:
    """What `action` returns; an error is one line and exit code 2."""
    try:
        return action()
    except CorruptData as error:
        print(f"raftwerk: {error.path}: {error.finding}", file=sys.stderr)
    except RaftwerkError as error:
        print(f"raftwerk: {error}", file=sys.stderr)
    raise typer.Exit(2)
