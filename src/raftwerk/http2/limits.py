"""The limits of one connection: each names what it protects against. A period is what the shell makes of it."""

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
    resets_max: int = 2_000
    """Streams a period that the peer opened and reset before an answer, or broke, beyond those it let complete: rapid reset
    (CVE-2023-44487, CVE-2025-8671)."""
    idle_frames_max: int = 5_000
    """A period: PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty frames in a row, with no payload either way: floods."""
    ping_interval_s_min: float = 0.0
    """A client that sends PINGs more often than this is cut off (pings.py). 0: never."""
    settings_max: int = 1_000
    """A period: SETTINGS frames, each of which may touch every open stream."""
    unfinished_bytes_max: int = 128 * 1024 * 1024
    """Messages, of all streams, that have begun to come and are not complete."""
    backlog_bytes_max: int = 512 * 1024
    """Of one call, waiting to be read by the peer: beyond it, who can wait with sending does."""
    buffered_bytes_max: int = 256 * 1024 * 1024
    """Waiting to be read by the peer, in the engine or in the socket; a message may go beyond it, none is taken after it."""
    keepalive_interval_s: float = 30.0
    """A client that was silent for so long is asked whether it lives. 0: never."""
    keepalive_timeout_s: float = 20.0
    """It has so much time to answer: clients that are gone without a word."""
