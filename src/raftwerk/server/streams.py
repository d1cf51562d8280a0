"""What the client of a stream sends: one request, or messages that wait until it is known who sends them."""

from collections.abc import Callable
from typing import Final

from raftwerk.api import status
from raftwerk.http2.server import Call

HELD_BYTES_MAX: Final = 1024 * 1024
"""Of the messages of one call, before anybody takes them."""
MESSAGE_BYTES: Final = 64
"""What keeping a message costs beside its content."""
NO_REQUEST: Final = "EOF"
"""What etcd answers to a client that has nothing to say."""


def take_one(call: Call, take: Callable[[bytes], None]) -> None:
    """Server streaming: one request is handed on, further ones are passed over; without any there is no answer."""

    def on_message(data: bytes) -> None:
        call.on_message = call.on_half_close = None
        take(data)

    call.on_message = on_message
    call.on_half_close = lambda: call.finish(status.UNKNOWN, NO_REQUEST)


def hold_messages(call: Call) -> Callable[[], None]:
    """Keep what a client sends before anybody takes it, and refuse the call of one that sends too much; the function
    returned hands it on.
    """
    messages: list[bytes] = []
    held_bytes = 0
    is_complete = False

    def hold(data: bytes) -> None:
        nonlocal held_bytes
        held_bytes += len(data) + MESSAGE_BYTES
        if held_bytes > HELD_BYTES_MAX:
            messages.clear()
            call.finish(*status.TOO_MANY_REQUESTS)
        else:
            messages.append(data)

    def complete() -> None:
        nonlocal is_complete
        is_complete = True

    call.on_message, call.on_half_close = hold, complete

    def hand_on() -> None:
        for message in messages:
            if call.on_message is not None and not call.is_over:
                call.on_message(message)
        if is_complete and call.on_half_close is not None and not call.is_over:
            call.on_half_close()

    return hand_on
