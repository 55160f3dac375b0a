"""Commands: their arguments, their context, and the table they stand in."""
