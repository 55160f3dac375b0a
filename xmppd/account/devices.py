"""Devices: the clients with access to an account, online or with a token."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from twisted.logger import Logger

from xmppd.auth.login import UserAgent
from xmppd.auth.tokens import Tokens
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID, StreamCondition, StreamError
from xmppd.store.devices import Device

ID_BYTES = 12
PASSWORDS = ("SCRAM-", "PLAIN")
REVOKED = StreamError(StreamCondition.NOT_AUTHORIZED, "access of this client was revoked")
_log = Logger()


@dataclass(frozen=True)
class KnownDevice:
    """A client with access to an account.

    Attributes:
        id: Its public id: its own is known to it alone.
        agent: Its description of itself.
        first_seen: The time of its first token, or of its stream, in seconds since 1970.
        last_seen: The time of its last login; while it is online, of its last activity.
        expires: The end of its last token; None if it has none.
        sessions: Its sessions.
    """

    id: str
    agent: UserAgent
    first_seen: float
    last_seen: float
    expires: float | None
    sessions: tuple[LocalClientSession, ...]

    @property
    def knows_password(self) -> bool:
        """Whether one of its sessions began with a password: then it may come back."""
        logins = [session.login for session in self.sessions]
        return any(login is not None and login.mechanism.startswith(PASSWORDS) for login in logins)


class Devices:
    """Finds devices, and revokes their access.

    Args:
        tokens: The tokens with which they may come back.
        sessions: All sessions.
    """

    def __init__(self, tokens: Tokens, sessions: SessionManager) -> None:
        self.tokens = tokens
        self.sessions = sessions

    async def of(self, account: JID) -> list[KnownDevice]:
        """The account's devices, those online first."""
        here: dict[str, list[LocalClientSession]] = {}
        for session in self.sessions.local_sessions(account.bare):
            here.setdefault(session.device or session.id, []).append(session)
        kept = [
            self._known(account, device, here.pop(device.id, []))
            for device in await self.tokens.devices(account.bare)
        ]
        others = [self._seen(account, id, sessions) for id, sessions in here.items()]
        return sorted([*others, *kept], key=lambda device: not device.sessions)

    async def revoke(
        self,
        account: JID,
        id: str,
        *,
        spare: LocalClientSession | None = None,
    ) -> KnownDevice | None:
        """Take a device's tokens, and close its streams.

        Args:
            account: Bare JID.
            id: As :class:`KnownDevice` has it.
            spare: The session that asked for it; it stays.

        Returns:
            The device as it was; None if there is none of this id.
        """
        for device in await self.of(account):
            if device.id == id:
                await self._revoke(account, device, spare)
                return device
        return None

    async def _revoke(
        self,
        account: JID,
        device: KnownDevice,
        spare: LocalClientSession | None,
    ) -> None:
        if device.agent.id:
            await self.tokens.revoke(account.bare, device.agent.id)
        for session in tuple(self.sessions.sessions.values()):  # also one that is about to be bound
            if (
                session.account is not None
                and session.account.bare == account.bare
                and opaque(account, session.device or session.id) == device.id
                and session is not spare
            ):
                session.connection.close(REVOKED)
        _log.info("{account} has device {device} revoked", account=account.bare, device=device.id)

    def _known(
        self, account: JID, device: Device, sessions: list[LocalClientSession]
    ) -> KnownDevice:
        return KnownDevice(
            opaque(account, device.id),
            UserAgent(device.id, device.software, device.name),
            device.first_seen,
            max([device.last_seen, *map(self._last_activity, sessions)]),
            max(token.expires for token in device.tokens),
            tuple(sessions),
        )

    def _seen(self, account: JID, id: str, sessions: list[LocalClientSession]) -> KnownDevice:
        login = sessions[-1].login
        return KnownDevice(
            opaque(account, id),
            login.agent if login is not None else UserAgent(),
            min(session.since for session in sessions),
            max(map(self._last_activity, sessions)),
            None,
            tuple(sessions),
        )

    def _last_activity(self, session: LocalClientSession) -> float:
        return self.sessions.wall_clock() - session.connection.silent_s


def opaque(account: JID, id: str) -> str:
    """The public id of a device, from which its own id cannot be had."""
    digest = sha256(f"{account.bare}\0{id}".encode()).digest()
    return urlsafe_b64encode(digest[:ID_BYTES]).decode()
