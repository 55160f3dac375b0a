"""The wire: bytes in, elements out, and the way back."""
