"""The tables of the store port. What stores do is in tests/storage/contract.py."""

from raftwerk.kv.store import Table


def test_tables_keep_their_numbers_and_names() -> None:
    """The numbers are in snapshots, the names on disk."""
    assert {table.name: int(table) for table in Table} == {
        "META": 0,
        "KEYS": 1,
        "REVISIONS": 2,
        "MEMBERS": 3,
        "LEASES": 4,
        "LEASE_KEYS": 5,
        "SESSIONS": 6,
        "AUTH": 7,
    }
