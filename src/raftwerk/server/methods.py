"""What there is to call on the client port."""

from raftwerk.http2.server import Method


class MethodTable:
    """Implements http2.server.Methods."""

    def __init__(self, *groups: dict[str, Method]) -> None:
        self.by_path: dict[str, Method] = {}
        for group in groups:
            self.by_path |= group
        self._services = {path.split("/")[1] for path in self.by_path}

    def find(self, path: str) -> Method | str:
        method = self.by_path.get(path)
        if method is not None:
            return method
        service, slash, name = path.removeprefix("/").rpartition("/")
        if not slash:
            return f'malformed method name: "{path}"'
        if service in self._services:
            return f"unknown method {name} for service {service}"
        return f"unknown service {service}"
