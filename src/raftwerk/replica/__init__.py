"""The executor between the core and I/O: synchronous, driven through ports, run by the runtime and by the simulator.

Read replica.py first. It steps the core once for a batch of events and carries out the effects: persist, send, apply,
settle the clients' requests (proposals.py, reads.py), move snapshots (snapshots.py), make checkpoints (checkpoints.py).
lessor.py measures the time of leases, by a clock that either world gives.
"""
