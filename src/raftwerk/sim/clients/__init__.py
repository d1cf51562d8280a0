"""The clients of a simulated cluster beyond plain reads and writes: sessions, leases and locks, watches, users."""
