"""The machine we run on, and what its administrator wants to see."""
