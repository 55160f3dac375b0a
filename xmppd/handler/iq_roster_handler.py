"""Roster get and set (:rfc:`6121#section-2`)."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.roster.contact_names import named
from xmppd.roster.roster import Roster, item_bytes
from xmppd.roster.roster_manager import Change, RosterManager
from xmppd.stanza import IQ, JID, Condition, StanzaError, Tree, ns, qname
from xmppd.store.rosters import RosterItem

_GROUP = qname(ns.ROSTER, "group")
MAX_ATTEMPTS = 3
"""To write a long roster that does not change meanwhile."""


@dataclass(frozen=True)
class IQRosterHandler(IQHandler):
    """Show the owner its roster, and change names and groups as it asks; never subscriptions.

    Another's roster is never touched (RO-13).
    """

    rosters: RosterManager
    subscriptions: PresenceSubscribeHandler

    query = qname(ns.ROSTER, "query")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN

    async def on_get(self, iq: IQ, asked: Asked) -> bytes | None:
        """The whole roster, or nothing if the client has this version already (RO-12)."""
        roster = await self.rosters.roster(asked.address)
        known = iq.payload.tree[0].get("ver")
        version, items = roster.version_text, b""
        is_known = known is not None and known == version
        if not is_known and len(roster.items) > self.rosters.broadcasts.contacts_per_slice:
            version, items = await self._written_in_slices(roster)
        elif not is_known:
            items = b"".join(item_bytes(item) for item in roster.shown())
        if asked.asker is not None:  # later changes are pushed behind this answer
            asked.asker.interested = True
            siblings = self.rosters.routing_table.siblings
            if siblings.nodes:
                siblings.tell(asked.asker)
        if is_known:
            return None
        return b"<query xmlns='%b' ver='%b'>%b</query>" % (
            ns.ROSTER.encode(), version.encode(), items,
        )  # fmt: skip

    async def _written_in_slices(self, roster: Roster) -> tuple[str, bytes]:
        """A version of a long roster, and its items, written in slices (CH-8). A roster that
        changes all the while is written in one go in the end.
        """
        broadcasts = self.rosters.broadcasts
        size = broadcasts.contacts_per_slice
        for _ in range(MAX_ATTEMPTS):
            version, items = roster.version_text, tuple(roster.shown())
            written = [b"".join(map(item_bytes, items[:size]))]
            for start in range(size, len(items), size):
                await broadcasts.next_turn()
                written.append(b"".join(map(item_bytes, items[start : start + size])))
            if roster.version_text == version:
                return version, b"".join(written)
        return roster.version_text, b"".join(map(item_bytes, roster.shown()))

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Add, change or remove one contact."""
        roster = await self.rosters.roster(asked.address)
        await self.rosters.check_owner(roster.account)
        items = iq.payload.tree[0].findall(qname(ns.ROSTER, "item"))
        if len(items) != 1:
            raise StanzaError(Condition.BAD_REQUEST, "a roster set must have exactly one item")
        jid = _contact(items[0])
        if items[0].get("subscription") == "remove":
            await self.subscriptions.remove(roster.account, jid)
        else:
            await self._change(roster, jid, items[0])

    async def _change(self, roster: Roster, jid: JID, asked: Tree) -> None:
        name, most = asked.get("name", ""), self.rosters.settings.max_groups_per_item
        groups = [group.text or "" for group in asked.findall(_GROUP)]

        def decide(item: RosterItem | None) -> Change:
            return Change(named(item or RosterItem(jid.full), name, groups, max_groups=most))

        await self.rosters.change(roster, jid.full, decide)


def _contact(item: Tree) -> JID:
    try:
        return JID.parse(item.attrib["jid"])
    except KeyError as error:
        raise StanzaError(Condition.BAD_REQUEST, "the item has no jid") from error
    except ValueError as error:
        raise StanzaError(Condition.JID_MALFORMED, str(error)) from error
