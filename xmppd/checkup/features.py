"""What clients miss for what is configured: the rows of :xep:`0479` that are lost."""

from xmppd.checkup.checked import Checked, Found, Sight

FEATURES = {
    "disco": "clients cannot find out what this server supports",
    "caps": "clients ask every contact again what its client supports",
    "blocking": "users cannot block others",
    "carbons": "messages sent from one device do not appear on the user's others",
    "client_state": "phones wake up for every presence",
    "archive": "clients cannot load the history of conversations",
    "pep": "avatars and encryption keys do not work",
    "bookmarks": "a room joined on one device is missing on the user's others",
    "avatars": "old and new clients do not see each other's avatars",
    "vcard4": "users have no profile",
    "muc": "there are no group chats",
    "http_upload": "users cannot send pictures and files",
    "push": "sleeping phones do not wake up for messages",
    "external_services": "calls fail between users behind routers",
    "contact_addresses": "nobody knows where to report abuse",
    "ping": "clients are slow to notice a lost connection",
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
            "messages are lost with a lost connection: set stream_management.enabled",
        )
    served = [each for each in sight.config.listen if "web" in each.sites]
    if not served:
        yield _warn(
            "web",
            'clients in browsers cannot connect: add a listener of kind "http"',
        )
    table = sight.config.plugin_tables.get("external_services", {})
    if "external_services" in loaded and not table.get("service"):
        yield _warn(
            "external_services",
            "no STUN or TURN server is configured, so calls fail between users behind routers: "
            "add one in [[external_services.service]]",
        )
    contacts = sight.config.contact
    if not (contacts.abuse or contacts.admin):
        yield _warn("contact", "nobody knows where to report abuse: set contact.abuse")
    elif all(plugin in loaded for plugin in FEATURES):
        yield Checked("features", "ok", "plugins", "every feature that clients look for is there")


def _warn(about: str, says: str) -> Checked:
    return Checked("features", "warn", about, says)
