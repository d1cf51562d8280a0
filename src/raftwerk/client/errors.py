"""How a call can fail."""

from raftwerk.errors import RaftwerkError


class CallFailed(RaftwerkError):
    """The server refused, or could not be reached. It certainly did not happen. code: gRPC status; text: the server's."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class OutcomeUnknown(CallFailed):
    """A write that may have happened, or may yet happen: look before it is tried again."""
