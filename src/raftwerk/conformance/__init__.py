"""What a server that speaks the etcd v3 API answers: cases as data, the answers of etcd 3.5, and a player of both."""
