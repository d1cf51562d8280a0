"""The asyncio world: one node with real sockets, real files and a real clock. Read node.py first."""
