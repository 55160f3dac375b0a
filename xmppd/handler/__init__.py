"""Handlers of the stanzas that the RFCs define; those that a XEP adds are in plugins."""
