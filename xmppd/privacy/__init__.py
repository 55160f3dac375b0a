"""Privacy lists, blocking and invisibility, compiled to look-ups."""
