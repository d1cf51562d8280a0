"""What clients see: one port for gRPC and HTTP/1.1, and etcd's services on it. Read app.py first."""
