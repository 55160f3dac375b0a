"""The console: the commands of the server as pages, for administrators with a browser."""
