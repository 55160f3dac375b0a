"""The host: the machine and its time, the data directory, the log and the statistics."""
