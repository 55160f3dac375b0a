"""Messages: the table of decisions about them, their followers, and those that are kept or held."""
