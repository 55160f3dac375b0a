"""Accounts, their devices and their sessions' end."""
