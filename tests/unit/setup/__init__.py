"""Tests of xmppd.setup."""
