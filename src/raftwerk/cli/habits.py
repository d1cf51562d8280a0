"""What people who know etcdctl type, and how it is said here: told beside the refusal of what is unknown, and of nothing else."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

COMMANDS: Final = {
    "endpoint": "'raftwerk status' asks all --endpoints, with --cluster all members",
    "compaction": "it is 'raftwerk compact'",
    "check": "'raftwerk bench' puts a load on a cluster",
    "defrag": "free pages are used again by themselves: nothing is to be defragmented",
    "make-mirror": "'raftwerk snapshot save' takes all keys, 'raftwerk watch' with --rev what comes after",
    "downgrade": "there is no older version to go back to",
}
"""By a first word that no command has."""
OPTIONS: Final = {
    "-w": "--json is for machines, what is printed without it for people",
    "--write-out": "--json is for machines, what is printed without it for people",
    "--consistency": "--serializable reads this member's state; without it a read asks the others",
    "--hex": "--json has the bytes as they are, in base64",
    "--interactive": "'raftwerk txn' reads its standard input",
    "--dial-timeout": "--command-timeout is for all that a request waits for",
    "--insecure-skip-tls-verify": "the server's certificate is always checked; --cacert says who signs it",
    "--insecure-transport": "an endpoint with https:// is spoken to over TLS, another one in plain text",
}
"""By an option that no command has."""
LEADING: Final = frozenset(("--version", "--help", "--install-completion", "--show-completion"))
"""Options that stand before the command."""


def hints(arguments: Sequence[str]) -> Iterator[str]:
    """For arguments that were refused: one for each habit that is found in them."""
    for word in arguments[:1]:
        if word in COMMANDS:
            yield COMMANDS[word]
        elif word.startswith("-") and word.partition("=")[0] not in LEADING:
            yield "options stand behind the command: raftwerk get KEY --endpoints ..."
    for argument in takewhile(lambda argument: argument != "--", arguments):
        name = argument.partition("=")[0]
        if name in OPTIONS:
            yield f"{name}: {OPTIONS[name]}"
