"""What can be done on request: commands, what they are told, and the table they stand in."""
