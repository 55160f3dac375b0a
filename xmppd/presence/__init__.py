"""Presence: which accounts are available, and which addresses were told so."""
