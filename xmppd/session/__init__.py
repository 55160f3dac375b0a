"""The last step out: sessions, and what stands between a stanza and its wire."""
