"""What clients miss for what is configured: the rows of :xep:`0479` that are lost."""

from xmppd.checkup.checked import Checked, Found, Sight

FEATURES = {
    "disco": "clients do not learn what this server can do",
    "caps": "clients ask everybody anew what they can do",
    "blocking": "people cannot block others",
    "carbons": "what is said on one device is not seen on others",
    "client_state": "telephones are woken for each presence",
    "archive": "clients do not get the history of conversations",
    "pep": "there are no avatars, and no keys for encryption",
    "bookmarks": "rooms are not joined on all devices",
    "avatars": "avatars are not the same for all clients",
    "vcard4": "people have no profile",
    "muc": "there are no rooms",
    "http_upload": "people cannot send pictures and files",
    "push": "telephones that sleep are not woken for messages",
    "external_services": "calls fail between people behind routers",
    "contact_addresses": "nobody knows whom to tell of abuse",
    "ping": "clients notice late that their connection is lost",
}
"""Plugins, and what is lost without each."""


async def look(sight: Sight) -> Found:
    """Look which of them are loaded, and whether they have what they need."""
    loaded = sight.config.plugins.load
    for plugin, lost in FEATURES.items():
        if plugin not in loaded:
            yield _warn(plugin, f'{lost}: add "{plugin}" to plugins.load')
    if not sight.config.stream_management.enabled:
        yield _warn(
            "stream_management",
            "messages get lost with a connection: set stream_management.enabled",
        )
    served = [each for each in sight.config.listen if "web" in each.sites]
    if not served:
        yield _warn(
            "web",
            'clients in browsers cannot come in: add a listener of kind "http"',
        )
    table = sight.config.plugin_tables.get("external_services", {})
    if "external_services" in loaded and not table.get("service"):
        yield _warn(
            "external_services",
            "no STUN or TURN server is named, so calls fail between people behind routers: add one "
            "in [[external_services.service]]",
        )
    contacts = sight.config.contact
    if not (contacts.abuse or contacts.admin):
        yield _warn("contact", "nobody knows whom to tell of abuse: set contact.abuse")
    elif all(plugin in loaded for plugin in FEATURES):
        yield Checked("features", "ok", "plugins", "clients find what they look for")


def _warn(about: str, says: str) -> Checked:
    return Checked("features", "warn", about, says)
