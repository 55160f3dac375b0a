"""The server as a whole: every stage and where it is put, how a server starts and how it ends."""
