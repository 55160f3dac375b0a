"""XEP-0157: Contact Addresses for XMPP Services. Whom to write to about this server."""

from msgspec.structs import asdict

from xmppd.parts import DiscoExtension
from xmppd.server import XMPPServer
from xmppd.stanza import Element, child, element

DATA_FORMS = "jabber:x:data"
FORM_TYPE = "http://jabber.org/network/serverinfo"


def contact_form(contacts: dict[str, tuple[str, ...]]) -> Element | None:
    """The form with these addresses by role; None if there are none (§3)."""
    if not any(contacts.values()):
        return None
    form = element(DATA_FORMS, "x", type="result")
    child(child(form, "field", var="FORM_TYPE", type="hidden"), "value", FORM_TYPE)
    for role, addresses in contacts.items():
        if addresses:
            field = child(form, "field", var=f"{role}-addresses", type="list-multi")
            for address in addresses:
                child(field, "value", address)
    return form


def plug(server: XMPPServer) -> list[object]:
    """What this feature is made of."""
    return [DiscoExtension(lambda domain: contact_form(asdict(server.config.contact)))]
