"""XEP-0157: Contact Addresses for XMPP Services. The addresses to write to about this server."""

from msgspec.structs import asdict

from xmppd.config.config import ContactSettings
from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoInfo
from xmppd.plugin.place import Part
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


def plug(contacts: ContactSettings) -> list[Part]:
    """The parts of this feature."""
    form = contact_form(asdict(contacts))
    return [] if form is None else [Says(DiscoInfo(forms=(form,)))]
