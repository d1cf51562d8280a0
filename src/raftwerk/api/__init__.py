"""The etcd v3 API: messages (generated from the .proto files here by `make proto`), and its exact status texts."""
