"""Tests of xmppd.checkup."""
