"""Traces: the way of stanzas, stage by stage, while an administrator watches."""
