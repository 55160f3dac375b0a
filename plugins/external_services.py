"""XEP-0215: External Service Discovery. Clients find STUN and TURN servers for their calls, and get
credentials there that are good for a while.
"""

import hmac
from base64 import b64encode
from collections.abc import Callable, Iterable
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Literal

from xmppd.config.section import Mark, Section
from xmppd.config.settings import Settings
from xmppd.events import On
from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.host.clocks import Clocks
from xmppd.plugin.place import Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionClosed
from xmppd.stanza import IQ, JID, Condition, StanzaError, escape, qname
from xmppd.stanza.date_time import date_time

NS = "urn:xmpp:extdisco:2"
MAX_SERVICES = 100
MAX_PORT = 65_535


class ServiceSettings(Section, frozen=True):
    """``[[external_services.service]]``: a server that clients use beside this one.

    Attributes:
        type: ``stun``, ``turn``, or another that is registered.
        host: Its name or address.
        port: Its port; 0 for the usual one.
        transport: By which it is reached; empty if that is not said.
        name: For people.
        secret: Shared with a TURN server, which lets in whoever has credentials made of it
            (coturn's ``static-auth-secret``).
        secret_file: The file of that secret instead, by its absolute path.
        lifetime_s: The time for which credentials are good.
    """

    type: str
    host: str
    port: Annotated[int, Mark.MAY_BE_ZERO] = 0
    transport: Literal["", "tcp", "udp"] = ""
    name: str = ""
    secret: str = ""
    secret_file: str = ""
    lifetime_s: float = 86_400.0

    def __post_init__(self) -> None:
        if not (self.type and self.host):
            raise ValueError("a service needs a type and a host")
        if self.port > MAX_PORT:
            raise ValueError(f"{self.port} is not a port number")
        if self.secret and self.secret_file:
            raise ValueError("a service may have either a secret or a secret_file")
        if self.secret_file and not Path(self.secret_file).is_absolute():
            raise ValueError(f"secret_file must be an absolute path, not {self.secret_file}")


class ExternalServicesSettings(Section, frozen=True):
    """``[external_services]``: the servers that clients use beside this one."""

    service: tuple[ServiceSettings, ...] = ()

    def __post_init__(self) -> None:
        if len(self.service) > MAX_SERVICES:
            raise ValueError(f"at most {MAX_SERVICES} services are allowed")


def secret_of(service: ServiceSettings) -> str:
    """The secret of a service; empty if it has none.

    Raises:
        PluginError: Its file cannot be read, or is empty.
    """
    if not service.secret_file:
        return service.secret
    try:
        secret = Path(service.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(
            f"external_services.service.secret_file {service.secret_file} cannot be read ({error})"
        ) from error
    if not secret:
        raise PluginError(
            f"{service.secret_file} is empty; write the secret of {service.host} into it"
        )
    return secret


class ExternalServices:
    """The services, and who has asked for them.

    Args:
        wall_clock: Tells the time in seconds since 1970.
        settings: Names them.
    """

    def __init__(
        self,
        wall_clock: Callable[[], float],
        settings: ExternalServicesSettings,
    ) -> None:
        self.wall_clock = wall_clock
        self._secrets = _with_secrets(settings)
        self._asked: dict[LocalClientSession, str] = {}

    def use(self, settings: ExternalServicesSettings) -> None:
        """Take other services, and tell those who have asked for them."""
        before, self._secrets = self._secrets, _with_secrets(settings)
        gone = [each for each in before if each not in self._secrets]
        new = [each for each in self._secrets if each not in before]
        for session, kind in self._asked.items():
            said = [_service_xml(each, action="delete") for each in _of_kind(gone, kind)]
            said += [self._shown(each, action="add") for each in _of_kind(new, kind)]
            if said:
                domain = JID.of(None, session.jid.domain)
                push = IQ.make(
                    session.jid, domain, _services(said, kind), id=token_hex(8), type="set"
                )
                session.deliver(push, push.wire())

    def closed(self, event: SessionClosed) -> None:
        """Forget a session that is over."""
        self._asked.pop(event.session, None)

    def ask(self, session: LocalClientSession, kind: str) -> bytes:
        """The services of a type, or all; whoever has asked is told of changes."""
        self._asked[session] = kind
        return _services([self._shown(each) for each in _of_kind(self._secrets, kind)], kind)

    def credentials(self, kind: str, host: str, port: str) -> bytes:
        """The credentials for a service.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none, or none that wants some.
        """
        found = [
            each
            for each, secret in self._secrets.items()
            if secret and (each.type, each.host) == (kind, host) and port in ("", str(each.port))
        ]
        if not found:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "no credentials exist for this service")
        inner = "".join(map(self._shown, found))
        return f"<credentials xmlns='{NS}'>{inner}</credentials>".encode()

    def _shown(self, service: ServiceSettings, action: str = "") -> str:
        """A service, with credentials of its own for each who asks.

        They are those of coturn's REST convention, and do not say whose they are.
        """
        secret = self._secrets[service]
        if not secret:
            return _service_xml(service, action=action)
        expires = self.wall_clock() + service.lifetime_s
        name = f"{expires:.0f}:{token_hex(8)}"
        password = b64encode(hmac.digest(secret.encode(), name.encode(), "sha1")).decode()
        return _service_xml(
            service,
            action=action,
            username=name,
            password=password,
            expires=date_time(expires),
            restricted="true",
        )


def _with_secrets(settings: ExternalServicesSettings) -> dict[ServiceSettings, str]:
    return {service: secret_of(service) for service in settings.service}


def _of_kind(services: Iterable[ServiceSettings], kind: str) -> list[ServiceSettings]:
    return [each for each in services if kind in ("", each.type)]


def _services(inner: list[str], kind: str) -> bytes:
    head = f"<services xmlns='{NS}'" + (f" type='{escape(kind)}'" if kind else "")
    return f"{head}>{''.join(inner)}</services>".encode()


def _service_xml(service: ServiceSettings, **more: str) -> str:
    said = {
        "type": service.type,
        "host": service.host,
        "port": str(service.port) if service.port else "",
        "transport": service.transport,
        "name": service.name,
        **more,
    }
    attributes = "".join(f" {key}='{escape(value)}'" for key, value in said.items() if value)
    return f"<service{attributes}/>"


class IQServicesHandler(IQHandler):
    """Show the services to accounts of this server."""

    query = qname(NS, "services")
    features = (NS,)

    def __init__(self, services: ExternalServices) -> None:
        self.services = services

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        return self.services.ask(asked.session, str(iq.query.get("type", "")))


class IQCredentialsHandler(IQHandler):
    """Give credentials for one of them."""

    query = qname(NS, "credentials")

    def __init__(self, services: ExternalServices) -> None:
        self.services = services

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        _ = asked.session  # nobody else has any
        service = iq.query.find(qname(NS, "service"))
        if service is None or not (service.get("type") and service.get("host")):
            raise StanzaError(Condition.BAD_REQUEST, "name a service, with type and host")
        kind, host = str(service.get("type")), str(service.get("host"))
        return self.services.credentials(kind, host, str(service.get("port", "")))


def plug(clocks: Clocks, settings: ExternalServicesSettings) -> list[Part]:
    """The parts of this plugin: none while no service is named."""
    if not settings.service:
        return []
    services = ExternalServices(clocks.wall_clock, settings)
    return [
        IQServicesHandler(services),
        IQCredentialsHandler(services),
        Settings(ExternalServicesSettings, services.use),
        On(SessionClosed, services.closed),
    ]
