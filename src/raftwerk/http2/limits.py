"""The limits of one connection: each names what it protects against."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes."""

    message_bytes_max: int = 1_572_864 + 512 * 1024
    """One received gRPC message; etcd's max-request-bytes + 512 KiB."""
    frame_bytes_max: int = 16_384
    """Received frames (SETTINGS_MAX_FRAME_SIZE): the least that may be announced."""
    header_block_bytes_max: int = 64 * 1024
    """HEADERS and its CONTINUATIONs before decoding: CONTINUATION floods."""
    header_list_bytes_max: int = 64 * 1024
    """After decoding (SETTINGS_MAX_HEADER_LIST_SIZE): HPACK bombs."""
    streams_max: int = 10_000
    """Open at once (SETTINGS_MAX_CONCURRENT_STREAMS)."""
    stream_window_bytes: int = 1024 * 1024
    """What a peer may send on one stream before it is told to go on."""
    connection_window_bytes: int = 16 * 1024 * 1024
    resets_max: int = 500
    """Streams that the peer opened and reset, beyond those it let complete: rapid reset (CVE-2023-44487)."""
    idle_frames_max: int = 5_000
    """PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty frames in a row, with no payload either way: floods."""
    buffered_bytes_max: int = 256 * 1024 * 1024
    """Waiting for the peer's flow-control windows: a peer that asks and never reads."""
