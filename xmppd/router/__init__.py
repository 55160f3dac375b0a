"""Whose job is it? One router for each kind of stanza."""
