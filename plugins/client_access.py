"""XEP-0494: Client Access Management. People see which clients may use their account, and end it.

The same is there as commands (:xep:`0050`), for clients that do not speak it, and for
administrators, for any account.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from xmppd.account.devices import Devices, KnownDevice
from xmppd.command.ad_hoc import AdHocCommand
from xmppd.handler.iq_handler import IQHandler
from xmppd.plugin.place import Part
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    StanzaError,
    StreamCondition,
    StreamError,
    child,
    element,
    qname,
)
from xmppd.stanza.date_time import date_time
from xmppd.stanza.form import Field, form, result

NS = "urn:xmpp:cam:0"
Values = dict[str, list[str]]
Run = Callable[[IQ, Values], Awaitable[Element | str]]
REVOKED = StreamError(StreamCondition.NOT_AUTHORIZED, "access of this client was revoked")
PASSWORDS = ("SCRAM-", "PLAIN")

DEVICE = Field("device", "Its id, as the list has it", required=True)
ACCOUNT = Field("accountjid", "Account", "jid-single", required=True)


@dataclass(frozen=True)
class Access:
    """Which clients have access to accounts, and what ends it."""

    devices: Devices
    sessions: SessionManager

    async def revoke(self, account: JID, id: str, iq: IQ) -> KnownDevice:
        """End a client's access, and leave whoever asks where it is."""
        asker = self.sessions.session(iq.sender)
        device = await self.devices.revoke(account, id, REVOKED, spare=asker)
        if device is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "there is no such client")
        return device


@dataclass(frozen=True)
class IQClientListHandler(IQHandler):
    """Tell an account which clients have access to it (§3.1)."""

    devices: Devices

    query = qname(NS, "list")
    features = (NS,)

    async def on_get(self, iq: IQ) -> Element:
        """Its own clients: nobody may ask for those of somebody else."""
        clients = element(NS, "clients")
        for device in await self.devices.of(own_account(iq)):
            show(clients, device)
        return clients


@dataclass(frozen=True)
class IQClientRevocationHandler(IQHandler):
    """End the access of a client (§3.2)."""

    access: Access

    query = qname(NS, "revoke")

    async def on_set(self, iq: IQ) -> None:
        """Its tokens are gone and its sessions have ended, also if that is not enough."""
        id = iq.payload.tree[0].get("id", "")
        device = await self.access.revoke(own_account(iq), id, iq)
        if any(knows_password(session) for session in device.sessions):
            raise StanzaError(
                Condition.SERVICE_UNAVAILABLE,
                "its sessions have ended, but it knows the password: change that",
                application=(NS, "password-reset-required"),
            )


def own_account(iq: IQ) -> JID:
    """The account of whoever asks, if it asks about itself."""
    if iq.to is not None and iq.to.local is not None and iq.to.bare != iq.sender.bare:
        raise StanzaError(Condition.FORBIDDEN)
    return iq.sender.to_bare()


def show(clients: Element, device: KnownDevice) -> None:
    """One client, as XEP-0494 has it."""
    connected = "true" if device.sessions else "false"
    client = child(clients, "client", connected=connected, id=device.id, type="session")
    child(client, "first-seen", date_time(device.first_seen))
    child(client, "last-seen", date_time(device.last_seen))
    auth = child(client, "auth")
    if any(knows_password(session) for session in device.sessions):
        child(auth, "password")
    if device.expires is not None:
        child(auth, "fast")
    child(client, "permission", status="unrestricted")
    agent = child(client, "user-agent")
    for name, text in (("software", device.agent.software), ("device", device.agent.device)):
        if text:
            child(agent, name, text)


def knows_password(session: LocalClientSession) -> bool:
    """Whether the session began with a password."""
    return session.login is not None and session.login.mechanism.startswith(PASSWORDS)


# -- the same as commands -------------------------------------------------------------------------


@dataclass(frozen=True)
class Commands:
    """For people, on their own account; for administrators, on any."""

    access: Access

    async def own(self, iq: IQ, values: Values) -> Element:
        """List one's own clients."""
        return await self._listed(iq.sender.to_bare())

    async def revoke_own(self, iq: IQ, values: Values) -> str:
        """Revoke one of one's own clients."""
        return await self._revoked(iq, iq.sender.to_bare(), values)

    async def others(self, iq: IQ, values: Values) -> Element:
        """List the clients of an account."""
        return await self._listed(JID.parse(values["accountjid"][0]).to_bare())

    async def revoke_others(self, iq: IQ, values: Values) -> str:
        """Revoke a client of an account."""
        return await self._revoked(iq, JID.parse(values["accountjid"][0]).to_bare(), values)

    async def _listed(self, account: JID) -> Element:
        devices = await self.access.devices.of(account)
        lines = tuple(sentence(device) for device in devices)
        return result(NS, Field("devices", "Clients", "text-multi", values=lines))

    async def _revoked(self, iq: IQ, account: JID, values: Values) -> str:
        device = await self.access.revoke(account, values["device"][0].strip(), iq)
        may_return = any(knows_password(session) for session in device.sessions)
        advice = " It knows the password: change that." if may_return else ""
        return f"The client has no access any more.{advice}"


def sentence(device: KnownDevice) -> str:
    """A client in one line; its id comes first."""
    names = ", ".join(filter(None, (device.agent.device, device.agent.software))) or "unnamed"
    here = "here now" if device.sessions else f"last seen {date_time(device.last_seen)}"
    how = ", ".join(
        sorted({session.login.mechanism for session in device.sessions if session.login})
    )
    until = "" if device.expires is None else f", token until {date_time(device.expires)}"
    return f"{device.id}: {names}, {here}{f' by {how}' if how else ''}{until}"


def command(node: str, name: str, run: Run, *fields: Field, admins_only: bool) -> AdHocCommand:
    """One command; without fields it needs no form."""

    def asked(iq: IQ) -> Element:
        return form(NS, name, "Fill out this form.", *fields)

    return AdHocCommand(
        f"{NS}#{node}", name, run, asked if fields else None, admins_only=admins_only
    )


def plug(devices: Devices, sessions: SessionManager) -> list[Part]:
    """What this feature is made of."""
    access = Access(devices, sessions)
    to = Commands(access)
    return [
        IQClientListHandler(devices),
        IQClientRevocationHandler(access),
        command("own", "List my clients", to.own, admins_only=False),
        command("revoke-own", "Revoke one of my clients", to.revoke_own, DEVICE, admins_only=False),
        command("others", "List clients of an account", to.others, ACCOUNT, admins_only=True),
        command(
            "revoke-others", "Revoke a client of an account", to.revoke_others, ACCOUNT, DEVICE,
            admins_only=True,
        ),
    ]  # fmt: skip
