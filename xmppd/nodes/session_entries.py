"""SessionEntries: what other nodes ask of the sessions here."""

from xmppd.account.accounts import Accounts
from xmppd.account.devices import Devices
from xmppd.cluster.bus import Outcome
from xmppd.cluster.entries.accounts import (
    EndAccount,
    LeftBehind,
    LongestDetached,
    SessionsThere,
    Sibling,
    SiblingGone,
    StreamsEnded,
    Unbind,
    WhoIsThere,
)
from xmppd.cluster.node import NodeId
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.routing.locations import Locations
from xmppd.routing.siblings import described
from xmppd.stanza import JID, StreamCondition, StreamError


class SessionEntries:
    """Ends sessions that are replaced, left behind, or make room for others.

    Args:
        locations: Knows the sessions here, and gives their places back.
        accounts: Forgets those that were removed.
        devices: Closes the streams of clients.
    """

    def __init__(self, locations: Locations, accounts: Accounts, devices: Devices) -> None:
        self.locations = locations
        self.sessions = locations.sessions
        self.accounts = accounts
        self.devices = devices

    def put_in(self, entries: EntryHandler) -> None:
        """Handle what concerns sessions."""
        siblings = self.locations.siblings
        entries.put(Sibling, siblings.sibling)
        entries.put(SiblingGone, siblings.sibling_gone)
        entries.put(WhoIsThere, self.who_is_there)
        entries.put(Unbind, self.unbind)
        entries.put(LongestDetached, self.longest_detached)
        entries.put(LeftBehind, self.left_behind)
        entries.put(EndAccount, self.end_account)

    def who_is_there(self, sender: NodeId, entry: WhoIsThere) -> SessionsThere:
        """Describe the sessions of an account that are here."""
        here = self.locations.siblings.table.sessions_here(entry.account)
        return SessionsThere([described(session, session.jid) for session in here])

    async def unbind(self, sender: NodeId, entry: Unbind) -> None:
        """End a session; answered when its place is free."""
        error = StreamError(StreamCondition(entry.condition), entry.text)
        await self.locations.end(entry.session, entry.serial, error)

    def longest_detached(self, sender: NodeId, entry: LongestDetached) -> Outcome:
        """Say which session could make room for another one of its account."""
        return self.locations.longest_detached(entry.account)

    async def left_behind(self, sender: NodeId, entry: LeftBehind) -> None:
        """End the sessions that a client has left behind; answered when their places are free."""
        self.sessions.close_left_behind(entry.account, entry.device)
        await self.locations.left(entry.account)

    def end_account(self, sender: NodeId, entry: EndAccount) -> StreamsEnded:
        """Close the streams of an account, or of one of its clients."""
        account = JID.prepared(entry.account)
        if entry.device:
            return self.devices.end_here(account, entry.device)
        error = StreamError(StreamCondition(entry.condition), entry.text)
        ended = self.accounts.ends.end_here(account.bare, error)
        if entry.removed:
            self.accounts.forget(account)
        return StreamsEnded(ended)


__all__ = ["SessionEntries"]
