"""What other nodes ask of our stages."""
