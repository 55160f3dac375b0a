"""Agreement: of two accounts here, both sides of a subscription say the same (IM-6)."""

from collections.abc import AsyncIterator
from dataclasses import replace

from xmppd.host.turns import Turns
from xmppd.roster.roster_manager import Change, RosterManager
from xmppd.stanza import JID
from xmppd.store.database import Database
from xmppd.store.one_sided import RANGES, OneSided, one_sided
from xmppd.store.rosters import RosterItem


class Agreement:
    """Has subscriptions that one side only has become what both have.

    Args:
        database: Has the rosters.
        rosters: Change them.
        turns: Others have theirs in between.
    """

    def __init__(self, database: Database, rosters: RosterManager, turns: Turns) -> None:
        self._database = database
        self._rosters = rosters
        self._turns = turns

    async def settle(self) -> AsyncIterator[tuple[OneSided, str]]:
        """Write the weaker state wherever two accounts differ; gives each contact that was changed,
        and its subscription now.
        """
        for number in range(RANGES):
            for found in await one_sided(self._database, number):
                subscription = await self._weaken(found)
                if subscription is not None:
                    yield found, subscription
            await self._turns.next()

    async def _weaken(self, found: OneSided) -> str | None:
        theirs = (await self._rosters.look(JID.prepared(found.contact))).items.get(found.account)
        seen = theirs is not None and theirs.subscription in ("from", "both")
        sees = theirs is not None and theirs.subscription in ("to", "both")
        now: list[str] = []

        def decide(item: RosterItem | None) -> Change | None:
            if item is None:
                return None
            to = seen and item.subscription in ("to", "both")
            of = sees and item.subscription in ("from", "both")
            subscription = {(1, 1): "both", (1, 0): "to", (0, 1): "from"}.get((to, of), "none")
            if subscription == item.subscription:
                return None
            now.append(subscription)
            return Change(replace(item, subscription=subscription))

        roster = await self._rosters.roster(JID.prepared(found.account))
        await self._rosters.change(roster, found.contact, decide)
        return now[-1] if now else None


__all__ = ["Agreement"]
