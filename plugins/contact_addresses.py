"""XEP-0157: Contact Addresses for XMPP Services. Whom to write to about this server."""

from msgspec.structs import asdict

from xmppd.parts import DiscoExtension
from xmppd.server import XMPPServer
from xmppd.stanza import Element
from xmppd.stanza.form import Field, result

FORM_TYPE = "http://jabber.org/network/serverinfo"


def contact_form(contacts: dict[str, tuple[str, ...]]) -> Element | None:
    """The form with these addresses by role; None if there are none (§3)."""
    fields = [
        Field(f"{role}-addresses", type="list-multi", values=addresses)
        for role, addresses in contacts.items()
        if addresses
    ]
    return result(FORM_TYPE, *fields) if fields else None


def plug(server: XMPPServer) -> list[object]:
    """What this feature is made of."""
    return [DiscoExtension(lambda domain: contact_form(asdict(server.config.contact)))]
