"""The peer protocol, pure: bytes to messages and back. docs/wire-format.md specifies the bytes."""
