"""Accounts: their passwords, removal, names and devices, and the end of their sessions."""
