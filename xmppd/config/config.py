"""The configuration: frozen, typed values, and which of them hold at once when they change.

The file they are read from is :mod:`xmppd.config.config_file`'s.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

Level = Literal["debug", "info", "warn", "error", "critical"]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the file; a key it does not know stops the start."""


class Listen(Section, frozen=True):
    """A ``[[listen]]`` table: one door, named by a Twisted endpoint string."""

    endpoint: str
    kind: Literal["client", "server", "component"] = "client"
    tls: Literal["none", "starttls", "direct"] = "starttls"


class Domain(Section, frozen=True):
    """A ``[[domain]]`` table: a domain served here, and its certificate."""

    name: str
    certificate: str = ""
    key: str = ""


class Component(Section, frozen=True):
    """A ``[[component]]`` table: a service of its own domain that connects to us (XEP-0114)."""

    name: str
    title: str = ""
    secret: str = ""
    secret_file: str = ""
    max_connections: int = 1
    delegate: tuple[str, ...] = ()
    roster: Literal["none", "get", "set", "both"] = "none"
    message: Literal["none", "outgoing"] = "none"
    presence: Literal["none", "managed_entity"] = "none"


class ComponentStream(Section, frozen=True):
    """``[component_stream]``: what one connection of a component may take of us."""

    stanzas_per_s: float = 5_000.0
    bytes_per_s: float = 10_485_760.0


class TLS(Section, frozen=True):
    """``[tls]``: what every listener with TLS accepts."""

    minimum_version: Literal["1.2", "1.3"] = "1.2"
    ciphers: str = ""
    required: bool = True
    client_ca: str = ""


class Stream(Section, frozen=True):
    """``[stream]``: what one connection may take of us, and how many may come."""

    max_stanza_bytes: int = 262_144
    max_preauth_stanza_bytes: int = 10_240
    max_depth: int = 64
    max_attributes: int = 64
    negotiation_timeout_s: float = 60.0
    idle_timeout_s: float = 300.0
    ping_timeout_s: float = 60.0
    close_timeout_s: float = 5.0
    max_queued_bytes: int = 8_388_608
    stanzas_per_s: float = 200.0
    stanzas_burst: int = 1_000
    bytes_per_s: float = 131_072.0
    bytes_burst: int = 1_048_576
    max_unauthenticated: int = 5_000
    max_streams_per_address: int = 1_000


class RemoteDomain(Section, frozen=True):
    """A ``[[s2s.domain]]`` table: what differs for one domain of somebody else's."""

    name: str
    block: bool = False
    require_valid_certificate: bool | None = None
    allow_dialback: bool | None = None
    host: str = ""
    port: int = 5269
    direct_tls: bool = False
    stanzas_per_s: float | None = None


class S2S(Section, frozen=True):
    """``[s2s]``: other servers, whom we believe, and how much waits for them."""

    enabled: bool = True
    require_tls: bool = True
    require_valid_certificate: bool = True
    allow_dialback: bool = True
    authorities: str = ""
    dns_servers: tuple[str, ...] = ()
    allow_private: bool = False
    max_queued_stanzas: int = 1_000
    max_queued_bytes: int = 4_194_304
    max_queue_age_s: float = 60.0
    connect_timeout_s: float = 30.0
    idle_timeout_s: float = 600.0
    retry_first_s: float = 2.0
    retry_max_s: float = 600.0
    max_pairs: int = 10_000
    max_connecting: int = 100
    max_unauthenticated: int = 500
    max_streams_per_address: int = 100
    stanzas_per_s: float = 2_000.0
    stanzas_burst: int = 10_000
    bytes_per_s: float = 4_194_304.0
    bytes_burst: int = 16_777_216
    domain: tuple[RemoteDomain, ...] = ()


def name_server(text: str) -> tuple[str, int]:
    """An entry of ``s2s.dns_servers``: such as ``192.0.2.1``, ``192.0.2.1:5353``, ``[::1]:53``.

    Returns:
        Its IP address, its port.

    Raises:
        ValueError: It is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, "53"
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"{port} is no port")
    return str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)


class Auth(Section, frozen=True):
    """``[auth]``: who may log in, and how."""

    mechanisms: tuple[str, ...] = (
        "SCRAM-SHA-512-PLUS",
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-512",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "PLAIN",
    )
    scram_iterations: int = 10_000
    attempts_per_stream: int = 3
    failures_before_delay: int = 3
    max_delay_s: float = 4.0
    failures_before_lockout: int = 100
    lockout_s: float = 3_600.0
    remembered_addresses: int = 100_000
    guests_to_other_servers: bool = False


class Tokens(Section, frozen=True):
    """``[tokens]``: what a client is given to come back with (XEP-0484)."""

    mechanisms: tuple[str, ...] = ("HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE")
    lifetime_s: float = 1_814_400.0
    rotation_s: float = 86_400.0
    max_devices: int = 20


class Registration(Section, frozen=True):
    """``[registration]``: in-band registration (XEP-0077)."""

    open: bool = False
    change_password: bool = True
    remove_account: bool = True
    per_address_per_hour: int = 5
    min_password_length: int = 8
    reserved_names: tuple[str, ...] = (
        "abuse",
        "admin",
        "administrator",
        "ftp",
        "hostmaster",
        "info",
        "marketing",
        "news",
        "noc",
        "postmaster",
        "root",
        "sales",
        "security",
        "support",
        "usenet",
        "uucp",
        "webmaster",
        "www",
    )
    removed_names_reserved_s: float = 2_592_000.0


class Sessions(Section, frozen=True):
    """``[sessions]``: how many, and who wins when two want one resource."""

    max_per_account: int = 10
    conflict: Literal["kick", "refuse", "rename"] = "kick"


class StreamManagement(Section, frozen=True):
    """``[stream_management]``: acknowledgements, and sessions that outlive their connection."""

    enabled: bool = True
    resume_s: float = 300.0
    max_detached_per_account: int = 10
    max_unacked_stanzas: int = 10_000
    max_unacked_bytes: int = 8_388_608
    ack_every_stanzas: int = 8
    ack_after_s: float = 10.0


class Roster(Section, frozen=True):
    """``[roster]``: how large a roster may become."""

    max_items: int = 2_000
    max_groups_per_item: int = 32


class Privacy(Section, frozen=True):
    """``[privacy]``: how long blocklists and privacy lists may become."""

    max_items_per_list: int = 2_000


class Presence(Section, frozen=True):
    """``[presence]``: what is told to contacts."""

    suppress_repeated: bool = False


class Offline(Section, frozen=True):
    """``[offline]``: messages kept for those who are away."""

    max_messages: int = 100
    max_bytes: int = 1_048_576


class Items(Section, frozen=True):
    """``[items]``: what one account may keep in vCard, private XML and plugin storage."""

    max_items: int = 1_000
    max_bytes: int = 2_097_152
    max_item_bytes: int = 262_144


class Storage(Section, frozen=True):
    """``[storage]``: where accounts, rosters and messages are kept."""

    url: str = "sqlite:///xmppd.sqlite"
    pool_threads: int = 4
    upgrade: bool = True


class Plugins(Section, frozen=True):
    """``[plugins]``: which features are loaded."""

    load: tuple[str, ...] = (
        "disco",
        "caps",
        "ping",
        "version",
        "last_activity",
        "entity_time",
        "vcard",
        "private_storage",
        "blocking",
        "privacy_lists",
        "invisible",
        "carbons",
        "client_state",
        "register",
        "contact_addresses",
        "adhoc_commands",
        "service_administration",
        "stream_limits",
        "client_access",
    )
    directory: str = ""


class ContactAddresses(Section, frozen=True):
    """``[contact]``: whom to write to about this service (XEP-0157), as mailto: or xmpp: URIs."""

    abuse: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    sales: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    support: tuple[str, ...] = ()


class Log(Section, frozen=True):
    """``[log]``: how much is told."""

    level: Level = "info"
    levels: dict[str, str] = {}


class Config(Section, frozen=True):
    """The whole file."""

    data: str = "data"
    admins: tuple[str, ...] = ()
    domain: tuple[Domain, ...] = ()
    listen: tuple[Listen, ...] = ()
    component: tuple[Component, ...] = ()
    component_stream: ComponentStream = ComponentStream()
    tls: TLS = TLS()
    stream: Stream = Stream()
    s2s: S2S = S2S()
    auth: Auth = Auth()
    tokens: Tokens = Tokens()
    registration: Registration = Registration()
    sessions: Sessions = Sessions()
    stream_management: StreamManagement = StreamManagement()
    roster: Roster = Roster()
    privacy: Privacy = Privacy()
    presence: Presence = Presence()
    offline: Offline = Offline()
    items: Items = Items()
    storage: Storage = Storage()
    plugins: Plugins = Plugins()
    contact: ContactAddresses = ContactAddresses()
    log: Log = Log()


# --- while it runs -----------------------------------------------------------------------------

_APPLIES_NOW = (
    "domain.certificate",
    "domain.key",
    "stream.",
    "s2s.",
    "auth.attempts_per_stream",
    "auth.failures_before_delay",
    "auth.max_delay_s",
    "auth.failures_before_lockout",
    "auth.lockout_s",
    "auth.remembered_addresses",
    "tokens.",
    "registration.",
    "presence.",
    "offline.",
    "plugins.",
    "contact.",
    "log.",
)

# Of those above: what a port keeps from when it was opened.
_NEEDS_RESTART = frozenset({"stream.max_queued_bytes", "s2s.enabled", "s2s.dns_servers"})


def changed(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """Which keys a reload would change.

    Args:
        old: What the server runs with.
        new: What the file says now.

    Returns:
        The dotted keys that apply at once, and those that need a restart.
    """
    before, after = dict(leaves(old)), dict(leaves(new))
    differing = sorted(key for key in before if before[key] != after[key])
    now = [key for key in differing if key.startswith(_APPLIES_NOW) and key not in _NEEDS_RESTART]
    return now, [key for key in differing if key not in now]


def merged(old: Config, new: Config) -> Config:
    """What a server runs with after a reload.

    Args:
        old: What it ran with.
        new: What the file says now.

    Returns:
        The new values of keys that apply at once, and the old values of all others.
    """
    now, _ = changed(old, new)
    parts: dict[str, object] = {"domain": _with_certificates(old.domain, new.domain)}
    for section in {key.partition(".")[0] for key in now} - {"domain"}:
        names = [name for where, _, name in (key.partition(".") for key in now) if where == section]
        values = {name: getattr(getattr(new, section), name) for name in names}
        parts[section] = replace(getattr(old, section), **values)
    return replace(old, **parts)


def _with_certificates(old: tuple[Domain, ...], new: tuple[Domain, ...]) -> tuple[Domain, ...]:
    """The domains there were, with the certificates they have now."""
    known = {domain.name: domain for domain in new}
    return tuple(known.get(domain.name, domain) for domain in old)


def leaves(config: Config) -> Iterator[tuple[str, object]]:
    """Every value with its dotted key; those of all domains together."""
    for section, value in asdict(config).items():
        if section == "domain":
            yield from _domain_leaves(config.domain)
        elif isinstance(value, Section):
            yield from ((f"{section}.{key}", leaf) for key, leaf in asdict(value).items())
        else:
            yield section, value


def _domain_leaves(domains: tuple[Domain, ...]) -> Iterator[tuple[str, object]]:
    yield "domain.name", {domain.name for domain in domains}
    yield "domain.certificate", {domain.name: domain.certificate for domain in domains}
    yield "domain.key", {domain.name: domain.key for domain in domains}
