"""Bytes to stanzas: parsing, negotiation, typing. No socket."""
