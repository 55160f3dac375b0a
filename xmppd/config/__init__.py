"""The configuration: its file and its typed values."""
