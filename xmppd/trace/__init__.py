"""What happens to stanzas on their way, stage by stage, while somebody wants to see it."""
