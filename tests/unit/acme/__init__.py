"""Tests of xmppd.acme."""
