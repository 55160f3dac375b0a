"""Scopes: what somebody may do, in words; and roles, which are sets of them (CR-5)."""

from collections.abc import Mapping

AREAS = (
    "accounts",
    "config",
    "content",
    "data",
    "invitations",
    "keys",
    "plugins",
    "rooms",
    "rosters",
    "s2s",
    "server",
    "sessions",
    "trace",
)
"""What commands are about. ``content`` is what people write, wherever it is kept or shown."""

OWN = "own"
"""The scope of people, for what they may do with their own account."""

CONTENT = "content:read"

SCOPES = tuple(f"{area}:{right}" for area in AREAS for right in ("read", "write"))
"""All scopes but :data:`OWN`, which no key has."""

EVERYTHING = frozenset((*SCOPES, OWN))

_READ = [each for each in SCOPES if each.endswith(":read") and each not in (CONTENT, "keys:read")]
"""What operators read: all but what people write, and keys."""

ROLES: Mapping[str, frozenset[str]] = {
    "user": frozenset((OWN,)),
    "operator": frozenset((OWN, "invitations:write", "s2s:write", "sessions:write", *_READ)),
    "admin": EVERYTHING,
}
"""The roles that are always there: everybody's, one for who looks after the server, and that of
``admins``."""

__all__ = ["AREAS", "CONTENT", "EVERYTHING", "OWN", "ROLES", "SCOPES"]
