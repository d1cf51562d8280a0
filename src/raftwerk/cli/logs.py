"""The log of a server process: one line an event, key=value or JSON, on standard error."""

import logging
import sys

import structlog

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "panic": 50, "fatal": 50}


def configure(level: str, log_format: str) -> None:
    """Set up structlog for this process. level, log_format: as in Settings."""
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.processors.LogfmtRenderer(
            key_order=["ts", "level", "msg"], drop_missing=True, bool_as_flag=False
        )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.EventRenamer("msg"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # What clients send wrongly is answered to them: one could fill the disk with it
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
