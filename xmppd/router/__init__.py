"""Routers: one for each kind of stanza, which finds whose job it is."""
