"""Messages: what becomes of them, as a table, and those who follow them."""
