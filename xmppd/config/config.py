"""The tables of the file as frozen, typed values, each with its default."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from msgspec.structs import astuple, replace

from xmppd.config.redis_url import SENTINEL_PORT, RedisURL
from xmppd.config.section import Mark, Section

Level = Literal["debug", "info", "warn", "error", "critical"]


S = TypeVar("S", bound=Section)


class ListenSettings(Section, frozen=True):
    """A ``[[listen]]`` table: one listener, named by a Twisted endpoint string."""

    endpoint: str
    kind: Literal["client", "server", "component", "node", "http"] = "client"
    tls: Literal["none", "starttls", "direct"] = "starttls"
    serve: tuple[Literal["web", "metrics", "api", "console", "acme"], ...] = ()

    @property
    def sites(self) -> frozenset[Literal["web", "metrics", "api", "console", "acme"]]:
        """What is served there by HTTP."""
        return frozenset(self.serve or (("web",) if self.kind == "http" else ()))


class DomainSettings(Section, frozen=True):
    """A ``[[domain]]`` table: a domain served here, and its certificate."""

    name: Annotated[str, Mark.RESTART]
    certificate: str = ""
    key: str = ""
    acme: Annotated[bool, Mark.RESTART] = False
    auth: Annotated[tuple[str, ...], Mark.RESTART] = ("internal",)

    @property
    def chain_file(self) -> Path:
        """PEM: the domain's certificate first, then those that lead to its root."""
        return Path(self.certificate)

    @property
    def key_file(self) -> Path:
        """PEM, not encrypted: the private key."""
        return Path(self.key or self.certificate)


class RoleSettings(Section, frozen=True):
    """A ``[[role]]`` table: who has a role, and what its scopes are if it is one of your own."""

    name: str
    accounts: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


class ComponentSettings(Section, frozen=True):
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


class ComponentStreamSettings(Section, frozen=True):
    """``[component_stream]``: the limits of one connection of a component."""

    stanzas_per_s: float = 5_000.0
    bytes_per_s: float = 10_485_760.0

    def over(self, stream: "StreamSettings") -> "StreamSettings":
        """The limits of a component's stream: ``[stream]``, where none are set here."""
        return replace(
            stream,
            stanzas_per_s=self.stanzas_per_s,
            stanzas_burst=ceil(self.stanzas_per_s),
            bytes_per_s=self.bytes_per_s,
            bytes_burst=ceil(self.bytes_per_s),
        )


class TLSSettings(Section, frozen=True):
    """``[tls]``: what every listener with TLS accepts."""

    minimum_version: Literal["1.2", "1.3"] = "1.2"
    ciphers: str = ""
    required: bool = True
    client_ca: str = ""


class ACMESettings(Section, frozen=True):
    """``[acme]``: the authority that signs the certificates of domains with ``acme = true``."""

    directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    terms_agreed: bool = False
    contact: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    authorities: str = ""
    eab_key_id: str = ""
    eab_key_file: str = ""


class StreamSettings(Section, frozen=True):
    """``[stream]``: the limits of one connection, and of their number."""

    max_stanza_bytes: int = 262_144
    max_preauth_stanza_bytes: int = 10_240
    max_depth: int = 64
    max_attributes: int = 64
    negotiation_timeout_s: float = 60.0
    idle_timeout_s: float = 300.0
    ping_timeout_s: float = 60.0
    close_timeout_s: float = 5.0
    max_queued_bytes: Annotated[int, Mark.RESTART] = 8_388_608
    stanzas_per_s: float = 200.0
    stanzas_burst: int = 1_000
    bytes_per_s: float = 131_072.0
    bytes_burst: int = 1_048_576
    max_unauthenticated: int = 5_000
    max_streams_per_address: int = 1_000


class WebSettings(Section, frozen=True):
    """``[web]``: HTTP: how the world reaches it, who is believed, and the limits."""

    url: str = ""
    ips: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    origins: tuple[str, ...] = ("*",)
    compression: bool = False
    max_head_bytes: int = 16_384
    max_body_bytes: int = 1_048_576
    head_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    keep_alive_s: float = 75.0
    max_connections_per_address: int = 100
    max_silent_connections: int = 5_000
    max_waiting_requests: int = 8

    @property
    def url_host(self) -> str:
        """The host of the URL; empty without one."""
        return urlsplit(self.url).hostname or ""

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of trusted proxies.

        Raises:
            ValueError: One of them is none.
        """
        return _networks(self.trusted_proxies)


@lru_cache(1)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks, kept since they are asked for with each request."""
    return tuple(ip_network(text) for text in texts)


class RemoteDomainSettings(Section, frozen=True):
    """A ``[[s2s.domain]]`` table: other settings for one domain elsewhere."""

    name: str
    block: bool = False
    require_valid_certificate: bool | None = None
    allow_dialback: bool | None = None
    host: str = ""
    port: int = 5269
    direct_tls: bool = False
    stanzas_per_s: float | None = None


class S2SSettings(Section, frozen=True):
    """``[s2s]``: other servers: what proves them, and the limits of their queues."""

    enabled: Annotated[bool, Mark.RESTART] = True
    require_tls: bool = True
    require_valid_certificate: bool = True
    allow_dialback: bool = True
    authorities: str = ""
    dns_servers: Annotated[tuple[str, ...], Mark.RESTART] = ()
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
    domain: tuple[RemoteDomainSettings, ...] = ()

    def over(self, stream: StreamSettings) -> StreamSettings:
        """The limits of a stream with another server: ``[stream]``, where none are set here."""
        return replace(
            stream,
            idle_timeout_s=self.idle_timeout_s,
            max_unauthenticated=self.max_unauthenticated,
            max_streams_per_address=self.max_streams_per_address,
            stanzas_per_s=self.stanzas_per_s,
            stanzas_burst=self.stanzas_burst,
            bytes_per_s=self.bytes_per_s,
            bytes_burst=self.bytes_burst,
        )


def name_server(text: str) -> tuple[str, int]:
    """An entry of ``s2s.dns_servers``: such as ``192.0.2.1``, ``192.0.2.1:5353``, ``[::1]:53``.

    Returns:
        Its IP address, its port.

    Raises:
        ValueError: It is invalid.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, "53"
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"{port} is not a port number")
    return str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)


class AuthSettings(Section, frozen=True):
    """``[auth]``: who may log in, and how."""

    mechanisms: Annotated[tuple[str, ...], Mark.RESTART] = (
        "SCRAM-SHA-512-PLUS",
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-512",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "OAUTHBEARER",
        "PLAIN",
    )
    scram_iterations: Annotated[int, Mark.RESTART] = 10_000
    attempts_per_stream: int = 3
    failures_before_delay: int = 3
    max_delay_s: float = 4.0
    failures_before_lockout: int = 100
    lockout_s: float = 3_600.0
    remembered_addresses: int = 100_000
    guests_to_other_servers: Annotated[bool, Mark.RESTART] = False


class TokenSettings(Section, frozen=True):
    """``[tokens]``: tokens with which clients log in again (XEP-0484)."""

    mechanisms: tuple[str, ...] = ("HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE")
    lifetime_s: float = 1_814_400.0
    rotation_s: float = 86_400.0
    max_devices: int = 20


class RegistrationSettings(Section, frozen=True):
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
    removed_names_reserved_s: Annotated[float, Mark.MAY_BE_ZERO] = 2_592_000.0


class SessionSettings(Section, frozen=True):
    """``[sessions]``: their number, and the policy for a conflict of resources."""

    max_per_account: int = 10
    conflict: Literal["kick", "refuse", "rename"] = "kick"


class StreamManagementSettings(Section, frozen=True):
    """``[stream_management]``: acknowledgements, and sessions that outlive their connection."""

    enabled: bool = True
    resume_s: float = 300.0
    max_detached_per_account: int = 10
    max_unacked_stanzas: int = 10_000
    max_unacked_bytes: int = 8_388_608
    ack_every_stanzas: int = 8
    ack_after_s: float = 10.0


class RosterSettings(Section, frozen=True):
    """``[roster]``: how large a roster may become."""

    max_items: int = 2_000
    max_groups_per_item: int = 32


class PrivacySettings(Section, frozen=True):
    """``[privacy]``: how long blocklists and privacy lists may become."""

    max_items_per_list: int = 2_000


class PresenceSettings(Section, frozen=True):
    """``[presence]``: the broadcasts to contacts."""

    suppress_repeated: bool = False


class OfflineSettings(Section, frozen=True):
    """``[offline]``: messages kept for accounts that are away."""

    max_messages: Annotated[int, Mark.MAY_BE_ZERO] = 100
    max_bytes: Annotated[int, Mark.MAY_BE_ZERO] = 1_048_576


class ItemSettings(Section, frozen=True):
    """``[items]``: the quota of one account for vCard, private XML and plugin storage."""

    max_items: int = 1_000
    max_bytes: int = 2_097_152
    max_item_bytes: int = 262_144


class StorageSettings(Section, frozen=True):
    """``[storage]``: where accounts, rosters and messages are kept."""

    url: str = "sqlite:///xmppd.sqlite"
    pool_threads: int = 4
    upgrade: bool = True


class PluginSettings(Section, frozen=True):
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
        "invites",
        "account",
        "contact_addresses",
        "adhoc_commands",
        "service_administration",
        "stream_limits",
        "client_access",
        "pubsub",
        "muc",
        "pep",
        "bookmarks",
        "avatars",
        "vcard4",
        "archive",
        "inbox",
        "displayed_sync",
        "notification_settings",
        "push",
        "room_archive",
        "room_mentions",
        "room_unread",
        "room_push",
        "room_activity",
        "room_news",
        "muc_watch",
        "http_upload",
        "web_client",
        "external_services",
    )
    directory: str = ""


class ClusterSettings(Section, frozen=True):
    """``[cluster]``: the other nodes of the same service, and how they are found.

    Attributes:
        secret: What the secret's file holds; all nodes have the same.
    """

    redis: tuple[str, ...] = ()
    sentinels: tuple[str, ...] = ()
    authorities: str = ""
    name: str = "xmppd"
    node: str = ""
    secret_file: str = ""
    lease_s: float = 5.0
    grace_s: float = 30.0
    drain_s: Annotated[float, Mark.MAY_BE_ZERO] = 30.0
    links: Literal["auto", "redis", "direct"] = "auto"
    address: str = ""
    client_address: str = ""
    client_url: str = ""
    window_bytes: int = 4_194_304
    window_entries: int = 10_000
    secret: Annotated[bytes, Mark.APART] = b""

    @property
    def enabled(self) -> bool:
        """Whether this server is a node of a cluster."""
        return bool(self.redis)

    @property
    def redis_urls(self) -> tuple[RedisURL, ...]:
        """The Redis servers: what belongs to an account is at one of them, all else at the first.
        With Sentinel a host is the name of a master.

        Raises:
            ValueError: One of them is no URL.
        """
        return tuple(RedisURL.parse(url) for url in self.redis)

    @property
    def sentinel_urls(self) -> tuple[RedisURL, ...]:
        """The Sentinels that know where the masters are; none if Redis is named itself.

        Raises:
            ValueError: One of them is no URL.
        """
        return tuple(RedisURL.parse(url, SENTINEL_PORT) for url in self.sentinels)


def host_and_port(text: str) -> tuple[str, int]:
    """An address that others connect to: such as ``10.0.0.5:5280``, ``[2001:db8::1]:5280``.

    Args:
        text: The address.

    Returns:
        Its host, its port.

    Raises:
        ValueError: It is invalid.
    """
    parts = urlsplit(f"//{text}")
    host, port = parts.hostname, parts.port
    if not host or port is None or parts.netloc != text or "@" in text or " " in text:
        raise ValueError(f"{text!r} is not an address")
    return host, port


class ContactSettings(Section, frozen=True):
    """``[contact]``: the contact addresses of this service (XEP-0157), as mailto: or xmpp: URIs."""

    abuse: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    sales: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    support: tuple[str, ...] = ()


class LogSettings(Section, frozen=True):
    """``[log]``: the levels of the log, and the form of its lines."""

    level: Level = "info"
    format: Literal["text", "logfmt", "json"] = "text"
    levels: dict[str, str] = {}


def _shows_challenges(listen: ListenSettings) -> bool:
    """Whether authorities come in there that look for names in TLS: as at port 443."""
    return listen.tls == "direct" and bool(listen.sites)


class Config(Section, frozen=True):
    """The whole file; tables of plugins as they stand there, since each has a struct of its own."""

    data: Annotated[str, Mark.RESTART] = "data"
    admins: tuple[str, ...] = ()
    role: tuple[RoleSettings, ...] = ()
    domain: tuple[DomainSettings, ...] = ()
    listen: Annotated[tuple[ListenSettings, ...], Mark.RESTART] = ()
    component: Annotated[tuple[ComponentSettings, ...], Mark.RESTART] = ()
    component_stream: ComponentStreamSettings = ComponentStreamSettings()
    tls: Annotated[TLSSettings, Mark.RESTART] = TLSSettings()
    acme: Annotated[ACMESettings, Mark.RESTART] = ACMESettings()
    stream: StreamSettings = StreamSettings()
    web: WebSettings = WebSettings()
    s2s: S2SSettings = S2SSettings()
    auth: AuthSettings = AuthSettings()
    tokens: TokenSettings = TokenSettings()
    registration: RegistrationSettings = RegistrationSettings()
    sessions: Annotated[SessionSettings, Mark.RESTART] = SessionSettings()
    stream_management: Annotated[StreamManagementSettings, Mark.RESTART] = (
        StreamManagementSettings()
    )
    roster: Annotated[RosterSettings, Mark.RESTART] = RosterSettings()
    privacy: Annotated[PrivacySettings, Mark.RESTART] = PrivacySettings()
    presence: PresenceSettings = PresenceSettings()
    offline: OfflineSettings = OfflineSettings()
    items: Annotated[ItemSettings, Mark.RESTART] = ItemSettings()
    storage: Annotated[StorageSettings, Mark.RESTART] = StorageSettings()
    cluster: Annotated[ClusterSettings, Mark.RESTART] = ClusterSettings()
    plugins: PluginSettings = PluginSettings()
    contact: ContactSettings = ContactSettings()
    log: LogSettings = LogSettings()
    plugin_tables: Annotated[dict[str, dict[str, Any]], Mark.APART] = {}

    @property
    def challenge(self) -> Literal["", "http-01", "tls-alpn-01"]:
        """How an authority can look whether names are ours: at the listener that serves ``acme``,
        else at one of HTTP with TLS; empty if there is neither.
        """
        if any("acme" in listen.sites for listen in self.listen):
            return "http-01"
        return "tls-alpn-01" if any(_shows_challenges(each) for each in self.listen) else ""

    @property
    def links(self) -> Literal["redis", "direct"]:
        """The way between nodes: connections of their own if there is a listener for them and an
        address, unless the file says otherwise.
        """
        if self.cluster.links != "auto":
            return self.cluster.links
        has_door = any(listen.kind == "node" for listen in self.listen)
        return "direct" if has_door and self.cluster.address else "redis"

    def streams(
        self, kind: Literal["client", "server", "component", "node", "http"]
    ) -> StreamSettings:
        """The limits of streams of one kind: ``[stream]``, and what is said in its place."""
        if kind in ("client", "node", "http"):
            return self.stream
        return (self.s2s if kind == "server" else self.component_stream).over(self.stream)

    def of(self, table: type[S]) -> S | None:
        """The table of this struct, or all of them for Config itself; None for a plugin's own."""
        if isinstance(self, table):
            return self
        for value in astuple(self):
            if isinstance(value, table):
                return value
        return None
