"""Incidents of a server with people, other servers and a component: two commands name the cause.

The commands and what they say stand in ``docs/administration.md``; they are read from there.
"""
