"""How a session comes by its resource, by whichever protocol it asks for one."""

from dataclasses import dataclass

from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID, Condition, StanzaError


@dataclass(frozen=True)
class Binding:
    """Binds resources to sessions (BI-1 to BI-6): two steps, the second of which never waits."""

    sessions: SessionManager
    rosters: RosterManager
    privacy_lists: PrivacyListManager

    async def prepare(self, session: LocalClientSession) -> None:
        """Have the account's roster and lists at hand: whoever is online has them in memory.

        Raises:
            StanzaError: NOT_AUTHORIZED: it is nobody's session yet.
        """
        if session.account is None:
            raise StanzaError(Condition.NOT_AUTHORIZED)
        await self.rosters.roster(session.account)
        if self.privacy_lists.loaded(session.account.bare) is None:
            await self.privacy_lists.lists(session.account)
        session.privacy = self.privacy_lists.in_force(session.account)

    def bind(self, session: LocalClientSession, resource: str | None) -> JID:
        """Give a session that is prepared its full JID.

        Raises:
            StanzaError: As :meth:`~xmppd.session.session_manager.SessionManager.bind` says.
        """
        return self.sessions.bind(session, resource)
