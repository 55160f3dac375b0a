"""Who must not: privacy lists and blocking."""
