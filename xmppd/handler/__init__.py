"""Do it: what the RFCs demand of a server; what a XEP adds is a plugin."""
