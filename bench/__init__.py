"""The meter: what one operation costs a server, ours and its peers side by side."""
