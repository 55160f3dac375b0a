"""Connections: sockets and TLS, listeners and the limits on what comes by them."""
