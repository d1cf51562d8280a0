"""The replicated key-value machine: etcd's semantics, multi-version, deterministic, pure over the store port."""
