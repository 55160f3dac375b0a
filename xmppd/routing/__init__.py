"""Where are they? Addresses and the routes that lead there."""
