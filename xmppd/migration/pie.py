"""The format of :xep:`0227`: names, and the small things of a person in both directions."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator

from xmppd.auth.keys import ALGORITHMS
from xmppd.stanza import Tree, escape, ns, qname
from xmppd.stanza.date_time import exact_date_time, microseconds_of
from xmppd.store.accounts import AccountInfo
from xmppd.store.rosters import RosterItem
from xmppd.store.scram_keys import MAX_ITERATIONS, ScramKeys

NS = "urn:xmpp:pie:0"
SCRAM = "urn:xmpp:pie:0#scram"
SCRAM_TWICE = "urn:xmppd:scram-twice"
"""Keys as ejabberd writes and reads them, at least from 21.12 to 26.07: in base64 of base64."""

ACCOUNT = "urn:xmppd:account"
"""Our own element: what the format has no place for."""

XINCLUDE = "http://www.w3.org/2001/XInclude"
MAIN_FILE = "server-data.xml"
HOST_OF = "element(/1/1)"
"""Of a whole document, its first host: a pointer for XInclude."""

KEY_BYTES = {"SHA-1": 20, "SHA-256": 32, "SHA-512": 64}
"""The length of a key tells its hash."""

_HASHES = {length: hash for hash, length in KEY_BYTES.items()}
_SUBSCRIPTIONS = ("none", "to", "from", "both")


# --- passwords -----------------------------------------------------------------------------------


def keys_of(stored: bytes, server: bytes, salt: bytes, iterations: int) -> ScramKeys:
    """Keys as another server kept them; which hash they are of is told by their length (IM-3).

    Raises:
        ValueError: They are none.
    """
    hash = _HASHES.get(len(stored))
    if hash is None or len(server) != len(stored) or not salt:
        raise ValueError("the keys use an unknown hash")
    if not 0 < iterations <= MAX_ITERATIONS:
        raise ValueError("the number of iterations of the keys is invalid")
    return ScramKeys(hash, salt, iterations, stored, server)


def base64_bytes(text: str) -> bytes:
    """The bytes that a text in base64 stands for, with line breaks or without.

    Raises:
        ValueError: It is no base64.
    """
    try:
        return b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("the value is not valid Base64") from error


def read_keys(tree: Tree) -> ScramKeys:
    """The keys in a ``<scram-credentials/>``. Some servers write their base64 once more in base64,
    which a stored key of the length of such a text shows.

    Raises:
        ValueError: They are none, or of a mechanism that is not known here.
    """
    mechanism = tree.get("mechanism", "")
    if mechanism.removeprefix("SCRAM-") not in ALGORITHMS:
        raise ValueError(f"keys of {mechanism or 'no mechanism'} are not supported")
    stored, server, salt = (
        base64_bytes(tree.findtext(qname(SCRAM, name)) or "")
        for name in ("stored-key", "server-key", "salt")
    )
    if len(stored) in (len(b64encode(bytes(length))) for length in _HASHES):
        stored, server, salt = (
            base64_bytes(each.decode("ascii", "replace")) for each in (stored, server, salt)
        )
    iterations = (tree.findtext(qname(SCRAM, "iter-count")) or "").strip()
    if not (iterations.isascii() and iterations.isdecimal() and len(iterations) < 10):
        raise ValueError("the keys have no number of iterations")
    keys = keys_of(stored, server, salt, int(iterations))
    if mechanism != f"SCRAM-{keys.hash}":
        raise ValueError(f"keys of {mechanism} cannot be of this length")
    return keys


def written_keys(keys: ScramKeys) -> str:
    """Keys as an element."""
    return _written_keys(keys, SCRAM, 1)


def written_keys_twice(keys: ScramKeys) -> str:
    """Keys for ejabberd, which takes the first element of this name, in whatever namespace; to
    everybody else it is an unknown one.
    """
    return _written_keys(keys, SCRAM_TWICE, 2)


def _written_keys(keys: ScramKeys, namespace: str, times: int) -> str:
    inside = f"<iter-count>{keys.iterations}</iter-count>"
    for name, data in (
        ("salt", keys.salt),
        ("server-key", keys.server_key),
        ("stored-key", keys.stored_key),
    ):
        encoded = data
        for _ in range(times):
            encoded = b64encode(encoded)
        inside += f"<{name}>{encoded.decode()}</{name}>"
    return (
        f"<scram-credentials xmlns='{namespace}' mechanism='SCRAM-{keys.hash}'>{inside}"
        "</scram-credentials>\n"
    )


# --- contacts ------------------------------------------------------------------------------------


def read_roster(tree: Tree) -> Iterator[RosterItem]:
    """The contacts in a roster; a subscription that is not known shows nothing (IM-5)."""
    for each in tree:
        subscription = each.get("subscription", "none")
        if each.tag != qname(ns.ROSTER, "item") or subscription == "remove":
            continue
        groups = [group.text or "" for group in each.findall(qname(ns.ROSTER, "group"))]
        yield RosterItem(
            each.get("jid", ""),
            each.get("name", ""),
            tuple(dict.fromkeys(filter(None, groups))),
            subscription if subscription in _SUBSCRIPTIONS else "none",
            ask=each.get("ask") == "subscribe",
            approved=each.get("approved") in ("true", "1"),
        )


def written_roster(items: list[RosterItem]) -> Iterator[str]:
    """A roster as an element, and the requests that wait as others."""
    yield f"<query xmlns='{ns.ROSTER}'>"
    for item in items:
        if item.pending_in is not None and item == RosterItem(item.jid, pending_in=item.pending_in):
            continue  # nobody has added it: it only asks
        attributes = f" name='{escape(item.name)}'" if item.name else ""
        attributes += " ask='subscribe'" if item.ask else ""
        attributes += " approved='true'" if item.approved else ""
        groups = "".join(f"<group>{escape(group)}</group>" for group in item.groups)
        yield (
            f"<item jid='{escape(item.jid)}' subscription='{item.subscription}'{attributes}>"
            f"{groups}</item>"
        )
    yield "</query>\n"


# --- the account itself --------------------------------------------------------------------------


def written_account(info: AccountInfo, status: str | None) -> str:
    """What the format has no place for, as an element of our own."""
    attributes = f" created='{_moment(info.created)}'"
    attributes += " disabled='true'" if info.disabled else ""
    if info.disabled and info.disabled_until is not None:
        attributes += f" disabled-until='{_moment(info.disabled_until)}'"
    if info.last_seen is not None:
        attributes += f" last-seen='{_moment(info.last_seen)}'"
    return f"<account xmlns='{ACCOUNT}'{attributes}>{escape(status or '')}</account>\n"


def moment_of(text: str | None) -> float | None:
    """Seconds since 1970, of a date and time; None without one that can be read."""
    try:
        return None if text is None else microseconds_of(text) / 1e6
    except ValueError:
        return None


def _moment(seconds: float) -> str:
    return exact_date_time(round(seconds * 1e6))


__all__ = [
    "ACCOUNT",
    "HOST_OF",
    "KEY_BYTES",
    "MAIN_FILE",
    "NS",
    "SCRAM",
    "SCRAM_TWICE",
    "XINCLUDE",
    "base64_bytes",
    "keys_of",
    "moment_of",
    "read_keys",
    "read_roster",
    "written_account",
    "written_keys",
    "written_keys_twice",
    "written_roster",
]
