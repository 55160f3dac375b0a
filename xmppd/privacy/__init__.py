"""Who must not: privacy lists, blocking and invisibility, compiled to look-ups."""
