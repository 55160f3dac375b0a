"""Guests: accounts of ANONYMOUS logins, under names that no other account can have
(:xep:`0175`).
"""

import re
import secrets

from xmppd.stanza import JID

_PREFIX = "guest-"
_NAME = re.compile(_PREFIX + "[0-9a-f]{32}@").match


def new_guest(domain: str) -> JID:
    """The account of one more guest, which ends with its session."""
    return JID.of(_PREFIX + secrets.token_hex(16), domain)


def is_guest(address: str) -> bool:
    """Whether an address, bare or full and prepared, is that of a guest.

    The form of the name says so, also for guests that are gone; no account can have such a name
    (:meth:`~xmppd.auth.provider.Passwords.create`).
    """
    return address.startswith(_PREFIX) and _NAME(address) is not None


__all__ = ["is_guest", "new_guest"]
