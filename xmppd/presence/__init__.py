"""Who is here, and who was told so."""
