"""Readers: each yields the people of one kind of source."""
