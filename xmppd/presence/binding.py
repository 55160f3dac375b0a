"""Resource binding: how a session gets its resource, whichever protocol asks for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.locations import Locations
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager, wanted
from xmppd.stanza import JID

StepBack = Callable[[LocalClientSession], Awaitable[None] | None]


@dataclass(frozen=True)
class Binding:
    """Binds a resource, and before that does everything that waits (BI-1 to BI-6).

    Attributes:
        sessions: Gives a session its resource.
        locations: Has to know of it before anything of its account is read (CL-21).
        rosters: Have to be in memory.
        privacy_lists: Have to be in memory, too.
        step_back: Waited for by a login in full, so that clients with a token go first (SC-13).
    """

    sessions: SessionManager
    locations: Locations
    rosters: RosterManager
    privacy_lists: PrivacyListManager
    step_back: StepBack

    async def bind(
        self, session: LocalClientSession, resource: str | None, device: str = ""
    ) -> JID:
        """Read the account's roster and lists, since an account that is online has them in memory,
        and bind the session. Nothing is waited for between the moment when it can be reached and
        the return.

        Args:
            session: Authenticated, not yet bound.
            resource: The resource that its client asked for; None to choose one.
            device: The id of the client, if sessions that it has left behind are to end.

        Raises:
            StanzaError: NOT_AUTHORIZED: the session has no account, or its connection is gone;
                BAD_REQUEST: it cannot be prepared; CONFLICT: another session keeps it;
                RESOURCE_CONSTRAINT: the account has as many sessions as it may, or the session has
                waited too long.
        """
        jid, account = wanted(session, resource), session.account
        assert account is not None, "only who has logged in may want one"
        if session.login is None or not session.login.by_token:
            turn = self.step_back(session)
            if turn is not None:
                await turn
        if device:
            self.sessions.close_left_behind(jid.bare, device, session)
        entering = self.locations.enter(session, jid, device)
        try:
            if entering is not None:
                jid = await entering
            await self.rosters.roster(account)
            if self.privacy_lists.loaded(account.bare) is None:
                await self.privacy_lists.lists(account)
            session.privacy = self.privacy_lists.in_force(account)
            if device:
                self.sessions.close_left_behind(jid.bare, device, session)
            return self.sessions.bind(session, jid)
        finally:
            if entering is not None:
                self.locations.settle(session)
