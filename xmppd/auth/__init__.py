"""SASL mechanisms, and the providers that know the accounts."""
