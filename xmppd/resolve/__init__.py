"""From a domain to a connection with its server."""
