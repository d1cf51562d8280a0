"""What people who know etcdctl type, and how it is said here: told beside the refusal of what is unknown, and of nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

COMMANDS: Final = {
    "endpoint": "'raftwerk status' asks all --endpoints, with --cluster all members",
    "compaction": "it is 'raftwerk compact'",
    "delete": "it is 'raftwerk del'",
    "help": "it is 'raftwerk --help', and 'raftwerk COMMAND --help'",
    "check": "'raftwerk bench' puts a load on a cluster",
    "defrag": "free pages are used again by themselves: nothing is to be defragmented",
    "make-mirror": "'etcdctl make-mirror' copies keys, and what comes after, to or from raftwerk (docs/migrating.md)",
    "downgrade": "there is no older version to go back to",
}
"""By a first word that no command has."""
OPTIONS: Final = {
    "-w": "--json is for machines, what is printed without it for people",
    "--write-out": "--json is for machines, what is printed without it for people",
    "--consistency": "--serializable reads this member's state; without it a read asks the others",
    "--hex": "--json has the bytes as they are, in base64",
    "--dial-timeout": "--command-timeout is for all that a request waits for",
    "--insecure-skip-tls-verify": "the server's certificate is always checked; --cacert says who signs it",
    "--insecure-transport": "an endpoint with https:// is spoken to over TLS, another one in plain text",
}
"""By an option that no command has."""
_TXN: Final = "'raftwerk txn' reads its standard input, which a terminal is too"
_PEER_URLS: Final = (
    "the peer URLs stand behind the command, and the member is named where it is started: "
)
OPTIONS_OF: Final = {
    "txn": {"--interactive": _TXN, "-i": _TXN},
    "member add": {"--peer-urls": _PEER_URLS + "raftwerk member add URL,URL"},
    "member update": {"--peer-urls": "the peer URLs stand behind the member: ID URL,URL"},
    "watch": {
        "--": "no command is run for each event: a program can read them, with --json a line each"
    },
}
"""By a command, and an option or sign that it does not have."""
SHORT: Final = frozenset(("-h", "-l"))
"""Options that have one dash: whatever else begins with one may be meant as a key or a value."""
LEADING: Final = frozenset(("--version", "--help", "--install-completion", "--show-completion"))
"""Options that stand before the command."""


def hints(arguments: Sequence[str]) -> Iterator[str]:
    """For arguments that were refused: one for each habit that is found in them."""
    for word in arguments[:1]:
        if word in COMMANDS:
            yield COMMANDS[word]
        elif word.startswith("-") and word.partition("=")[0] not in LEADING:
            yield "options stand behind the command: raftwerk get KEY --endpoints ..."
    for command, habits in OPTIONS_OF.items():
        if " ".join(arguments).startswith(f"{command} "):
            yield from _of_options(arguments, habits)
    yield from _of_options(arguments, OPTIONS)
    yield from _of_values(arguments)


def _of_options(arguments: Sequence[str], habits: Mapping[str, str]) -> Iterator[str]:
    for name in _names(arguments):
        if name in habits:
            yield f"{name}: {habits[name]}"


def _of_values(arguments: Sequence[str]) -> Iterator[str]:
    for name in _names(arguments[1:]):
        is_known = name in SHORT or name in OPTIONS or any(name in of for of in OPTIONS_OF.values())
        if not name.startswith("--") and name.startswith("-") and not is_known:
            yield f"{name}: a key or a value that begins with a dash stands behind '--', and options stand before it"


def _names(arguments: Sequence[str]) -> list[str]:
    """With the first `--`, but not what comes after it."""
    names = [argument.partition("=")[0] for argument in arguments]
    return names[: names.index("--") + 1] if "--" in names else names
