"""Sessions: what is between a stanza that is routed and the connection of its client."""
