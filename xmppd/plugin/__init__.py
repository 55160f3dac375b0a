"""Plugins: their files, their parts and the places of these."""
