"""The server in memory and in a process, for tests."""
