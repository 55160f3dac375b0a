"""Resource binding: how a session gets its resource, whichever protocol asks for it."""

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
    """Everything that waits before a resource is bound (BI-1 to BI-6); binding itself then never
    waits.

    Attributes:
        sessions: Gives a session its resource.
        rosters: Have to be in memory.
        privacy_lists: Have to be in memory, too.
        step_back: Waited for by a login in full, so that clients with a token go first (SC-13).
    """

    sessions: SessionManager
    rosters: RosterManager
    privacy_lists: PrivacyListManager
    step_back: StepBack

    async def prepare(self, session: LocalClientSession) -> None:
        """Read the account's roster and lists: an account that is online has them in memory.

        Raises:
            StanzaError: NOT_AUTHORIZED: the session has no account, or its connection is gone;
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
