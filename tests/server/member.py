"""Whose headers answers have."""

from dataclasses import dataclass


@dataclass
class Member:
    """Implements server.translate.Member."""

    cluster_id: int
    node_id: int
    current_term: int
