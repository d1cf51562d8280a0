"""What can be wrong on an HTTP/2 connection, with the code that goes on the wire (RFC 9113, section 7)."""

from enum import IntEnum


class ErrorCode(IntEnum):
    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB


def bare(fault: Exception) -> None:
    """Take from a fault that is kept what would hold who keeps it: where it was raised, and of what."""
    fault.__traceback__ = fault.__cause__ = fault.__context__ = None


class ConnectionFault(Exception):
    """The other side broke the protocol for the whole connection: GOAWAY with this code, and the end."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code.name}: {text}")


class StreamFault(Exception):
    """The other side broke the protocol within one stream: RST_STREAM with this code; the connection goes on."""

    def __init__(self, stream_id: int, code: ErrorCode, text: str) -> None:
        self.stream_id = stream_id
        self.code = code
        self.text = text
        super().__init__(f"stream {stream_id}: {code.name}: {text}")
