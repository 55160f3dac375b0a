"""Plugins: found, put in place, taken out."""
