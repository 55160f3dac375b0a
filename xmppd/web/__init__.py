"""The web: one HTTP server on the endpoints, limits and certificates of all other connections."""
