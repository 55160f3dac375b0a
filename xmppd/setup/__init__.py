"""Setting up: a few questions, and what is made of their answers (SU-1)."""
