"""Clients of other people, over minutes: ``make doubles``."""
