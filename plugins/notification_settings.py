"""XEP-0492: Chat Notification Settings. What somebody has muted, their phone is not told of.

Clients keep that with the bookmark of a conversation, which ``plugins/bookmarks`` has.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from xmppd.account.accounts import AccountRemoved
from xmppd.events import On
from xmppd.message.muting import Muted, Muting
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.place import AtUnload, Part
from xmppd.stanza import JID, Element, parse, qname
from xmppd_plugins.bookmarks import Bookmark, Bookmarks

NS = "urn:xmpp:notification-settings:1"
MAX_CACHED = 10_000
"""Accounts whose settings are known without asking the store."""

_NOTIFY = qname(NS, "notify")
_SETTINGS = {qname(NS, name): name for name in ("always", "on-mention", "never")}


class SettingsChanged(Struct, frozen=True):
    """An account may have muted something, or nothing any more, for all nodes.

    Attributes:
        account: Bare JID.
    """

    account: str


class NotificationSettings:
    """Knows what accounts have muted, by their bookmarks (PN-8).

    Args:
        bookmarks: Have the settings.
        messages: Tell other nodes of changes.
    """

    def __init__(self, bookmarks: Bookmarks, messages: PluginMessages) -> None:
        self.bookmarks = bookmarks
        self.messages = messages
        self._cached: OrderedDict[str, Mapping[str, Muted]] = OrderedDict()
        self._changes = 0

    async def of(self, account: str) -> Mapping[str, Muted]:
        """What an account, a bare JID, has muted, by the bare JIDs of whom it is with."""
        cached = self._cached.get(account)
        if cached is None:
            changes = self._changes
            cached = dict(_muted(await self.bookmarks.all(JID.prepared(account))))
            if changes == self._changes:  # else this may be what was there before
                self._cached[account] = cached
                if len(self._cached) > MAX_CACHED:
                    self._cached.popitem(last=False)
        return cached

    async def changed(self, account: JID) -> None:
        """Have all nodes look again."""
        await self.messages.tell_all(account, SettingsChanged(account.bare))

    def take(self, change: SettingsChanged) -> None:
        """Look again the next time."""
        self._changes += 1
        self._cached.pop(change.account, None)

    async def removed(self, event: AccountRemoved) -> None:
        """Forget an account that is gone."""
        await self.changed(event.account)


def _muted(bookmarks: Mapping[str, Bookmark]) -> Iterable[tuple[str, Muted]]:
    for address, bookmark in bookmarks.items():
        setting = setting_of(bookmark)
        if setting in ("never", "on-mention"):
            try:
                jid = JID.parse(address)
            except ValueError:
                continue  # a client's own affair
            yield jid.bare, Muted(setting == "on-mention", bookmark.nick or "")


def setting_of(bookmark: Bookmark) -> str:
    """The setting of a conversation that holds for a phone: ``always``, ``on-mention`` or
    ``never``; empty if there is none.
    """
    return next(filter(None, map(_setting, bookmark.extensions)), "")


def _setting(extension: bytes) -> str:
    """The setting that holds for a phone, for which push services are; empty if there is none."""
    if NS.encode() not in extension:
        return ""
    notify = parse(extension)
    return max(map(_rank, notify), default=(0, ""))[1] if notify.tag == _NOTIFY else ""


def _rank(setting: Element) -> tuple[int, str]:
    """How exactly a setting is meant for a phone, not at all if that is 0; and its name."""
    name = _SETTINGS.get(str(setting.tag), "")
    identity = setting.get("identity-category"), setting.get("identity-type")
    ranks = {(None, None): 1, ("client", None): 2, ("client", "phone"): 3}
    rank = ranks.get(identity, 0) if name else 0
    return rank, name if rank else ""


def plug(bookmarks: Bookmarks, messages: PluginMessages, muting: Muting) -> list[Part]:
    """The parts of this feature."""
    settings = NotificationSettings(bookmarks, messages)
    muting.find = settings.of
    bookmarks.listeners.append(settings.changed)

    def stop() -> None:
        muting.find = None
        bookmarks.listeners.remove(settings.changed)

    return [
        AtUnload(stop),
        Tell(SettingsChanged, settings.take),
        On(AccountRemoved, settings.removed),
    ]
