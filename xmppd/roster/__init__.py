"""Rosters and subscriptions: who may see whose presence."""
