"""Certificates from an authority that speaks ACME (:rfc:`8555`): had, shown, and renewed."""
