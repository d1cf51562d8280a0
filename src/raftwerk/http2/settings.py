"""SETTINGS: what this side announces, and what the other side may (RFC 9113, section 6.5)."""

from raftwerk.http2 import frames
from raftwerk.http2.errors import ConnectionFault, ErrorCode
from raftwerk.http2.limits import Limits


def greeting(limits: Limits, *, is_client: bool) -> bytes:
    """The first bytes of a connection: preface, settings, and a connection window as wide as the limits say."""
    values = {
        frames.MAX_CONCURRENT_STREAMS: limits.streams_max,
        frames.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
        frames.MAX_FRAME_SIZE: limits.frame_bytes_max,
        frames.MAX_HEADER_LIST_SIZE: limits.header_list_bytes_max,
    }
    if is_client:
        values[frames.ENABLE_PUSH] = 0
    data = frames.settings(values)
    if limits.connection_window_bytes > frames.DEFAULT_WINDOW:
        extra = limits.connection_window_bytes - frames.DEFAULT_WINDOW
        data += frames.window_update(0, extra)
    return frames.PREFACE + data if is_client else data


def parse(payload: bytes, *, is_client: bool) -> dict[int, int]:
    """Checked values by identifier; of repeated ones the last counts. Raises ConnectionFault."""
    if len(payload) % 6:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS")
    pairs = frames.parse_settings(payload)
    for identifier, value in pairs:
        if identifier == frames.INITIAL_WINDOW_SIZE and value > frames.WINDOW_MAX:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE")
        if identifier == frames.MAX_FRAME_SIZE and not (
            frames.FRAME_SIZE_MIN <= value <= frames.FRAME_SIZE_MAX
        ):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE")
        if identifier == frames.ENABLE_PUSH and value > (0 if is_client else 1):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH")
    return dict(pairs)
