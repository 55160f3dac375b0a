"""How a session comes by its resource, by whichever protocol it asks for one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import Condition, StanzaError

StepBack = Callable[[LocalClientSession], Awaitable[None] | None]


@dataclass(frozen=True)
class Binding:
    """What goes before a resource is bound (BI-1 to BI-6); binding itself then never waits.

    Attributes:
        sessions: Where sessions live.
        rosters: What must be in memory.
        privacy_lists: And these.
        step_back: What a full login waits for, so that those who come back go first (SC-13).
    """

    sessions: SessionManager
    rosters: RosterManager
    privacy_lists: PrivacyListManager
    step_back: StepBack

    async def prepare(self, session: LocalClientSession) -> None:
        """Have the account's roster and lists at hand: whoever is online has them in memory.

        Raises:
            StanzaError: NOT_AUTHORIZED: it is nobody's session, or its wire is gone;
                RESOURCE_CONSTRAINT: it has waited too long, and is closed.
        """
        if session.account is None or session.closed:
            raise StanzaError(Condition.NOT_AUTHORIZED)
        if session.login is None or not session.login.by_token:
            turn = self.step_back(session)
            if turn is not None:
                await turn
        await self.rosters.roster(session.account)
        if self.privacy_lists.loaded(session.account.bare) is None:
            await self.privacy_lists.lists(session.account)
        session.privacy = self.privacy_lists.in_force(session.account)
