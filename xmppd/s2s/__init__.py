"""Other servers: where they are, who they prove to be, and what goes to and comes from them."""
