"""XEP-0494: Client Access Management. Users see the clients with access to their account, and end
it.

The same is there as commands (:xep:`0050`), for clients that do not speak it, and for
administrators, for any account.
"""

from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from xmppd.account.devices import Devices, KnownDevice, Revoked
from xmppd.command.command_form import CommandForm, Filled
from xmppd.command.reply import Reply, Row
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.plugin.place import Part
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    StanzaError,
    child,
    element,
    qname,
)
from xmppd.stanza.date_time import date_time
from xmppd.stanza.form import Field, result

NS = "urn:xmpp:cam:0"

DEVICE = Field("device", "The id that the list shows", required=True)
ACCOUNT = Field("accountjid", "Account", "jid-single", required=True)


@dataclass(frozen=True)
class Access:
    """The clients with access to accounts, and the end of that."""

    devices: Devices
    sessions: SessionManager

    async def revoke(self, account: JID, id: str, iq: IQ) -> Revoked:
        """End a client's access, but not the session of the client that asks."""
        asker = self.sessions.session(iq.sender)
        revoked = await self.devices.revoke(account, id, spare=asker)
        if revoked is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the client does not exist")
        return revoked


@dataclass(frozen=True)
class IQClientListHandler(IQHandler):
    """List the clients with access to an account (§3.1)."""

    devices: Devices

    query = qname(NS, "list")
    to = To.SERVER | To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> Element:
        """List the asker's own clients."""
        clients = element(NS, "clients")
        for device in await self.devices.of(asked.session.jid.to_bare()):
            show(clients, device)
        return clients


@dataclass(frozen=True)
class IQClientRevocationHandler(IQHandler):
    """End the access of a client (§3.2)."""

    access: Access

    query = qname(NS, "revoke")
    to = To.SERVER | To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Revoke its tokens and end its sessions, also if that is not enough."""
        id = iq.payload.tree[0].get("id", "")
        revoked = await self.access.revoke(asked.session.jid.to_bare(), id, iq)
        if revoked.knows_password:
            raise StanzaError(
                Condition.SERVICE_UNAVAILABLE,
                "the client's sessions were ended, but it knows the password: change that",
                application=(NS, "password-reset-required"),
            )


def show(clients: Element, device: KnownDevice) -> None:
    """One client, as XEP-0494 has it."""
    connected = "true" if device.sessions else "false"
    client = child(clients, "client", connected=connected, id=device.id, type="session")
    child(client, "first-seen", date_time(device.first_seen))
    child(client, "last-seen", date_time(device.last_seen))
    auth = child(client, "auth")
    if device.knows_password:
        child(auth, "password")
    if device.expires is not None:
        child(auth, "fast")
    child(client, "permission", status="unrestricted")
    agent = child(client, "user-agent")
    for name, text in (("software", device.agent.software), ("device", device.agent.device)):
        if text:
            child(agent, name, text)


# -- the same as commands -------------------------------------------------------------------------


def own(filled: Filled) -> dict[str, object]:
    """The asker's own account, and the client that was asked for, if any."""
    return {"account": filled.asker.bare, **chosen(filled)}


def others(filled: Filled) -> dict[str, object]:
    """The account that was asked for, and the client, if any."""
    account = JID.parse(filled.values[ACCOUNT.var][0]).bare
    return {"account": account, **chosen(filled)}


def chosen(filled: Filled) -> dict[str, object]:
    """The client that was asked for."""
    return {"device": filled.values[DEVICE.var][0]} if DEVICE.var in filled.values else {}


def listed(filled: Filled, replies: list[Reply]) -> Element:
    """Each client in one line."""
    lines = tuple(sentence(to_builtins(reply)) for reply in replies if isinstance(reply, Row))
    return result(NS, Field("devices", "Clients", "text-multi", values=lines))


def sentence(device: dict[str, Any]) -> str:
    """A client in one line; its id comes first."""
    names = ", ".join(filter(None, (device["name"], device["software"]))) or "unnamed"
    here = "online now" if device["sessions"] else f"last seen {device['last_seen']}"
    how = ", ".join(device["mechanisms"])
    until = f", token until {device['token_expires']}" if device["token_expires"] else ""
    return f"{device['device']}: {names}, {here}{f' by {how}' if how else ''}{until}"


FORMS: tuple[CommandForm, ...] = (
    CommandForm(f"{NS}#own", "List my clients", "device list", NS, own, answer=listed),
    CommandForm(
        f"{NS}#revoke-own", "Revoke one of my clients", "device revoke", NS, own, (DEVICE,)
    ),
    CommandForm(
        f"{NS}#others", "List clients of an account", "device list", NS, others, (ACCOUNT,),
        listed, admins_only=True,
    ),
    CommandForm(
        f"{NS}#revoke-others", "Revoke a client of an account", "device revoke", NS, others,
        (ACCOUNT, DEVICE), admins_only=True,
    ),
)  # fmt: skip


def plug(devices: Devices, sessions: SessionManager) -> list[Part]:
    """The parts of this feature."""
    return [
        IQClientListHandler(devices),
        IQClientRevocationHandler(Access(devices, sessions)),
        *FORMS,
    ]
