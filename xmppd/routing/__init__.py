"""Addresses, and the routes that lead there."""
