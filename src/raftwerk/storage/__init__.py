"""Ordered stores behind one port (kv/store.py): LMDB on disk, sorted dictionaries in memory."""
