"""Commands by HTTP, for programs."""
