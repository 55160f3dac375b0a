"""Faults of a service of three nodes, under people who chat: who runs, and who judges."""
