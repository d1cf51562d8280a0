"""HTTP/2 and gRPC framing without I/O: bytes in, callbacks out, bytes out. RFC 9113, RFC 7541, gRPC over HTTP/2.

The subset that gRPC uses, complete on both sides: connection.py is the common engine, server.py and client.py are its
two sides. No task, future or timer belongs to a call here; a shell owns the socket and calls receive and take_output.
"""
