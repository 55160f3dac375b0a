"""Plugins come and go: where their parts are put, and how they are found."""
