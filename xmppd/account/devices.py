"""Devices: the clients with access to an account, online or with a token."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from twisted.logger import Logger

from xmppd.account.stream_ends import StreamEnds, StreamsClosed
from xmppd.auth.login import UserAgent
from xmppd.auth.tokens import Tokens
from xmppd.cluster.entries.accounts import EndAccount, StreamsEnded
from xmppd.session.local_client_session import LocalClientSession
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
        return any(map(_knows_password, self.sessions))


@dataclass(frozen=True, slots=True)
class Revoked:
    """The end of a device's access.

    Attributes:
        ended: What has become of its streams.
        knows_password: Whether one of its sessions began with a password: then it may come back.
    """

    ended: StreamsClosed
    knows_password: bool


class Devices:
    """Finds devices, and revokes their access.

    Args:
        tokens: The tokens with which they may come back.
        ends: Closes streams.
    """

    def __init__(self, tokens: Tokens, ends: StreamEnds) -> None:
        self.tokens = tokens
        self.ends = ends
        self.sessions = ends.sessions

    async def of(self, account: JID) -> list[KnownDevice]:
        """The account's devices, those online first."""
        here: dict[str, list[LocalClientSession]] = {}
        for session in self.sessions.local_sessions(account.bare):
            here.setdefault(device_name(session), []).append(session)
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
    ) -> Revoked | None:
        """Take a device's tokens, and close its streams, on all nodes.

        Args:
            account: Bare JID.
            id: As :class:`KnownDevice` has it.
            spare: The session that asked for it; it stays.

        Returns:
            What has become of it; None if there is none of this id.
        """
        device = {device.id: device for device in await self.of(account)}.get(id)
        if device is not None and device.agent.id:
            await self.tokens.revoke(account.bare, device.agent.id)
        here = self.end_here(account, id, spare=spare)
        entry = EndAccount(account.bare, REVOKED.condition.value, REVOKED.text or "", device=id)
        others = await self.ends.ask(entry)
        if device is None and not others.streams:
            return None
        _log.info("device {device} of {account} was revoked", account=account.bare, device=id)
        knows = others.by_password or (device is not None and device.knows_password)
        return Revoked(StreamsClosed(here.streams + others.streams, others.unasked), knows)

    def end_here(
        self, account: JID, id: str, *, spare: LocalClientSession | None = None
    ) -> StreamsEnded:
        """Close a device's streams that are here."""
        ended = tuple(
            session
            for session in self.sessions.sessions.values()  # also one that is about to be bound
            if session.account is not None
            and session.account.bare == account.bare
            and opaque(account, device_name(session)) == id
            and session is not spare
        )
        for session in ended:
            session.connection.close(REVOKED)
        return StreamsEnded(len(ended), any(map(_knows_password, ended)))

    def _known(
        self, account: JID, device: Device, sessions: list[LocalClientSession]
    ) -> KnownDevice:
        return KnownDevice(
            opaque(account, device.id),
            UserAgent(device.id, device.software or _software(sessions), device.name),
            device.first_seen,
            max([device.last_seen, *map(self._last_activity, sessions)]),
            max(token.expires for token in device.tokens),
            tuple(sessions),
        )

    def _seen(self, account: JID, id: str, sessions: list[LocalClientSession]) -> KnownDevice:
        login = sessions[-1].login
        agent = login.agent if login is not None else UserAgent()
        return KnownDevice(
            opaque(account, id),
            replace(agent, software=_software(sessions)),
            min(session.since for session in sessions),
            max(map(self._last_activity, sessions)),
            None,
            tuple(sessions),
        )

    def _last_activity(self, session: LocalClientSession) -> float:
        return self.sessions.wall_clock() - session.connection.silent_s


def _software(sessions: Sequence[LocalClientSession]) -> str:
    """The name of a client by its sessions: most say it by their service discovery only."""
    return next(filter(None, (session.agent for session in reversed(sessions))), "")


def _knows_password(session: LocalClientSession) -> bool:
    """Whether the session began with a password."""
    return session.login is not None and session.login.mechanism.startswith(PASSWORDS)


def device_name(session: LocalClientSession) -> str:
    """What names a session's device: the id of its client; if that has not said, the token of
    somebody else that it has come by, or else the session.
    """
    proof = "" if session.login is None else session.login.proof
    return session.device or proof or session.id


def opaque(account: JID, id: str) -> str:
    """The public id of a device, from which its own id cannot be had."""
    digest = sha256(f"{account.bare}\0{id}".encode()).digest()
    return urlsafe_b64encode(digest[:ID_BYTES]).decode()
