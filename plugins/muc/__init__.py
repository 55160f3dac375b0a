"""XEP-0045: Multi-User Chat. Rooms at ``conference.`` and each domain."""
