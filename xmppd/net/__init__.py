"""Bytes to elements and back: the wire, its streams and their negotiation."""
