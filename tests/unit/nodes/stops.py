"""Nodes that save their sessions when they are stopped, though others are there."""

from xmppd.testing.house import house_config

SAVES = house_config("montague.lit", cluster={"drain_s": 0.0})
"""Nothing is handed over to other nodes."""
