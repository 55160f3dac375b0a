"""The way from a domain to a connection with its server."""
