"""Who may know: rosters and subscriptions."""
