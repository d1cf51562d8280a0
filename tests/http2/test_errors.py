"""Faults say what happened."""

from raftwerk.http2.errors import ConnectionFault, ErrorCode, StreamFault


def test_connection_fault_names_its_code() -> None:
    fault = ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "window")
    assert (str(fault), fault.code) == ("FLOW_CONTROL_ERROR: window", 3)


def test_stream_fault_names_its_stream() -> None:
    fault = StreamFault(7, ErrorCode.REFUSED_STREAM, "full")
    assert (str(fault), fault.stream_id) == ("stream 7: REFUSED_STREAM: full", 7)


def test_codes_are_those_of_the_rfc() -> None:
    """RFC 9113, section 7: 0 to 0xd, of which the last two are not for gRPC."""
    assert [code.value for code in ErrorCode] == list(range(12))
