"""The durable log: what Persist says is on stable storage before anybody hears of it. docs/wal-format.md has the bytes."""
