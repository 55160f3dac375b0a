"""Checks of keys that contradict each other, or have no effect; each has its sentence."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from xmppd.config.config import (
    AuthSettings,
    ClusterSettings,
    Config,
    Level,
    ListenSettings,
    host_and_port,
    name_server,
)
from xmppd.config.redis_url import REDIS_PORT, SENTINEL_PORT, RedisURL
from xmppd.config.scopes import ROLES, SCOPES
from xmppd.config.table import ConfigError
from xmppd.stanza.jid import JID, prepare_domain, prepare_local
from xmppd.stanza.phrases import or_rather

MECHANISMS = frozenset((*AuthSettings().mechanisms, "EXTERNAL", "ANONYMOUS"))
TOKEN_MECHANISMS = frozenset(
    f"HT-SHA-{bits}-{binding}" for bits in (256, 512) for binding in ("EXPR", "ENDP", "NONE")
)
LOG_LEVELS = get_args(Level)
NEAR = 0.85
"""How much alike two names are, from 0 to 1, before one is proposed for the other: a wrong one
would give other rights.
"""
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def _check_domains(config: Config) -> None:
    if not config.domain:
        raise ConfigError(
            'no domain is configured; add a [[domain]] table with name = "example.org".'
        )
    seen = set()
    for domain in config.domain:
        try:
            name = prepare_domain(domain.name)
        except ValueError:
            raise ConfigError(
                f'domain.name "{domain.name}" is not a domain name; '
                'write it as in DNS, such as "example.org".'
            ) from None
        if name in seen:
            raise ConfigError(f'domain.name "{domain.name}" appears twice; remove one of the two.')
        seen.add(name)


def _check_delegated(config: Config) -> None:
    taken: dict[str, str] = {}
    for component in config.component:
        for text in component.delegate:
            namespace = text.partition(" ")[0]
            if namespace in taken:
                raise ConfigError(
                    f'component.delegate has "{namespace}" for both {component.name} and '
                    f"{taken[namespace]}; delegate it to only one of them."
                )
            taken[namespace] = component.name


def _check_components(config: Config) -> None:
    taken = {prepare_domain(domain.name) for domain in config.domain}
    for component in config.component:
        try:
            name = prepare_domain(component.name)
        except ValueError:
            raise ConfigError(
                f'component.name "{component.name}" is not a domain name; '
                'write it as in DNS, such as "gateway.example.org".'
            ) from None
        if name in taken:
            raise ConfigError(
                f'component.name "{component.name}" is already the name of a domain or a '
                "component; choose another one."
            )
        taken.add(name)
        if bool(component.secret) == bool(component.secret_file):
            raise ConfigError(
                f'component "{component.name}" has both component.secret and '
                "component.secret_file; remove one of the two."
                if component.secret
                else f'component "{component.name}" has no secret; set component.secret or '
                "component.secret_file."
            )
        if component.max_connections < 1:
            raise ConfigError(
                f"component.max_connections is {component.max_connections}; "
                "it must be greater than zero."
            )
    _check_delegated(config)
    if config.component and all(listen.kind != "component" for listen in config.listen):
        raise ConfigError(
            f'component "{config.component[0].name}" has no listener; add a [[listen]] table with '
            'kind = "component".'
        )


def _check_admins(config: Config) -> None:
    for admin in config.admins:
        try:
            local = JID.parse(admin).local
        except ValueError:
            local = None
        if local is None:
            raise ConfigError(
                f'admins: "{admin}" is not an account address; write it as "romeo@example.org".'
            )


def _check_roles(config: Config) -> None:
    taken = set[str]()
    for role in config.role:
        if not _ROLE.fullmatch(role.name):
            raise ConfigError(
                f'role.name "{role.name}" is not a valid name; use lowercase letters, as in '
                '"helpdesk".'
            )
        if role.name in taken:
            raise ConfigError(f'role.name "{role.name}" appears twice; merge the two tables.')
        taken.add(role.name)
        if role.name in ("admin", "user"):
            raise ConfigError(
                f'role.name "{role.name}" is reserved: everyone is a user, and admins lists the '
                "administrators; choose another name."
            )
        if (role.name in ROLES) == bool(role.scopes):
            raise ConfigError(
                f'role "{role.name}" has fixed scopes; remove role.scopes.'
                if role.scopes
                else f'role "{role.name}" has no scopes; list at least one in role.scopes.'
            )
        for scope in role.scopes:
            if scope not in SCOPES:
                advice = _meant(scope, SCOPES)
                raise ConfigError(f'role.scopes: unknown scope "{scope}"{advice}.')
        for account in role.accounts:
            if not _is_account(account):
                raise ConfigError(
                    f'role.accounts: "{account}" is not an account address; write it as '
                    '"romeo@example.org".'
                )


def _meant(given: str, known: Sequence[str]) -> str:
    """What to write instead: the one that was meant where that is clear, or else all of them."""
    near = get_close_matches(given, known, 1, NEAR)
    return or_rather(near[0]) if near else f"; use one of {', '.join(known)}"


def _is_account(text: str) -> bool:
    try:
        jid = JID.parse(text)
    except ValueError:
        return False
    return jid.local is not None and jid.is_bare


def _check_names(config: Config) -> None:
    for name in config.registration.reserved_names:
        try:
            prepare_local(name)
        except ValueError:
            raise ConfigError(
                f'registration.reserved_names has "{name}", which is not a valid account name; '
                "write the part of an address before the @."
            ) from None


def _check_certificates(config: Config) -> None:
    for domain in config.domain:
        if domain.key and not domain.certificate:
            raise ConfigError(
                f'domain.key of "{domain.name}" is set without a certificate; add '
                "domain.certificate."
            )
    for listen in config.listen:
        if listen.kind == "component" and listen.tls == "starttls":
            raise ConfigError(
                f'listen.endpoint "{listen.endpoint}" is for components, which cannot use '
                'STARTTLS; set listen.tls = "none", or "direct".'
            )
        if listen.kind == "node" and listen.tls == "starttls":
            raise ConfigError(
                f'listen.endpoint "{listen.endpoint}" is for nodes, which cannot use STARTTLS; '
                'set listen.tls = "direct", or "none" on a network that nobody else can read.'
            )
        if listen.kind == "http" and listen.tls == "starttls":
            raise ConfigError(
                f'listen.endpoint "{listen.endpoint}" is for HTTP, which cannot use STARTTLS; '
                'set listen.tls = "direct", or "none" on this machine or behind a proxy.'
            )
        if listen.serve and not _speaks_http(listen):
            raise ConfigError(
                f'listen.serve is for HTTP, which "{listen.endpoint}" does not speak; set '
                'listen.kind = "http", or listen.tls = "direct" on a listener for clients.'
            )
        bare = next((d.name for d in config.domain if not (d.certificate or d.acme)), None)
        if listen.tls != "none" and listen.kind != "node" and bare is not None:
            raise ConfigError(
                f'listen.endpoint "{listen.endpoint}" has tls = "{listen.tls}" but domain '
                f'"{bare}" has no certificate; add certificate or acme = true to its [[domain]].'
            )
    _check_acme(config)


_BY_OTHERS = frozenset(("PLAIN", "OAUTHBEARER"))
"""The mechanisms of accounts that others know."""


def _check_auth(config: Config) -> None:
    for domain in config.domain:
        if not domain.auth:
            raise ConfigError(
                f'domain.auth of "{domain.name}" is empty; write ["internal"], or name another '
                'provider, such as "http", "ldap" or "oauth".'
            )
        twice = next((name for name in domain.auth if domain.auth.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(
                f'domain.auth of "{domain.name}" has "{twice}" twice; remove one of the two.'
            )
        if "internal" not in domain.auth and not _BY_OTHERS & set(config.auth.mechanisms):
            raise ConfigError(
                f'domain.auth of "{domain.name}" needs plain passwords or tokens; add "PLAIN" or '
                '"OAUTHBEARER" to auth.mechanisms.'
            )


def _check_ports(config: Config) -> None:
    """Whether two listeners want one port of one address; those at any port have one each."""
    taken: dict[str, int] = {}
    for number, listen in enumerate(config.listen, 1):
        kind, _, rest = listen.endpoint.removeprefix("haproxy:").partition(":")
        port = rest.partition(":")[0].removeprefix("port=")
        if kind not in ("epoll", "tcp", "tcp6") or not port.strip("0") or "reuseport" in rest:
            continue
        found = re.search(r"(?<!\\):interface=((?:\\.|[^:])*)", f":{rest}")
        place = f"{port} {found[1] if found else ''}"
        if place in taken:
            raise ConfigError(
                f"listen[{taken[place]}] and listen[{number}] both use port {port}; give each its "
                "own port."
            )
        taken[place] = number


def _check_acme(config: Config) -> None:
    settings, names = config.acme, [domain.name for domain in config.domain if domain.acme]
    if not names:
        return
    for domain in config.domain:
        if domain.acme and (domain.certificate or domain.key):
            raise ConfigError(
                f'domain "{domain.name}" has both acme = true and '
                f"{'certificate' if domain.certificate else 'key'}; remove one of the two."
            )
    if not settings.terms_agreed:
        raise ConfigError(
            "acme.terms_agreed is false; read the terms of the authority (the link termsOfService "
            f"at {settings.directory}), and set acme.terms_agreed = true if you agree to them."
        )
    if urlsplit(settings.directory).scheme != "https":
        raise ConfigError(
            f'acme.directory "{settings.directory}" is not a valid URL; write it as "https://…".'
        )
    if bool(settings.eab_key_id) != bool(settings.eab_key_file):
        raise ConfigError(
            "acme.eab_key_id and acme.eab_key_file belong together; set both to what the "
            "authority has given you, or neither."
        )
    if settings.eab_key_file and not Path(settings.eab_key_file).is_absolute():
        raise ConfigError(
            f'acme.eab_key_file cannot be "{settings.eab_key_file}"; write an absolute path.'
        )
    for uri in settings.contact:
        if not uri.startswith("mailto:"):
            raise ConfigError(
                f'acme.contact: "{uri}" is not a mail URI; write it as '
                '"mailto:hostmaster@example.org".'
            )
    if not config.challenge:
        raise ConfigError(
            f'domain.acme of "{names[0]}" needs a listener that the authority can reach: add a '
            '[[listen]] table with endpoint = "epoll:80", kind = "http", tls = "none", serve = '
            '["acme"], or one with endpoint = "epoll:443", kind = "http", tls = "direct".'
        )
    if config.cluster.enabled:
        raise ConfigError(
            f'domain.acme of "{names[0]}" does not work in a cluster, where the authority could '
            "reach any node; get the certificate with certbot, and name it in "
            "domain.certificate."
        )


def _speaks_http(listen: ListenSettings) -> bool:
    """Whether HTTP comes in there: alone, or beside clients who say so in TLS (HT-12)."""
    return listen.kind == "http" or (listen.kind == "client" and listen.tls == "direct")


def _check_web(config: Config) -> None:
    settings = config.web
    for proxy in settings.trusted_proxies:
        try:
            ip_network(proxy)
        except ValueError:
            raise ConfigError(
                f'web.trusted_proxies: "{proxy}" is not an IP address or a network; write it as '
                '"192.0.2.1" or "192.0.2.0/24".'
            ) from None
    _check_ips(config)
    parts = urlsplit(settings.url)
    if settings.url and (
        parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/")
    ):
        raise ConfigError(
            f'web.url "{settings.url}" is not a valid URL; write it as "https://chat.example.org".'
        )


def _check_ips(config: Config) -> None:
    """Whether clients and servers that look for nothing else find all that there is (HM-2)."""
    if not config.web.ips:
        return
    for ip in config.web.ips:
        try:
            ip_address(ip)
        except ValueError:
            raise ConfigError(
                f'web.ips: "{ip}" is not an IP address; write it as "192.0.2.1".'
            ) from None
    kinds = {listen.kind for listen in config.listen}
    direct = {listen.kind for listen in config.listen if listen.tls == "direct"}
    for kind in ("client", "server"):
        if kind in kinds and kind not in direct:
            raise ConfigError(
                f"web.ips announces where {kind}s connect, which needs a listener with "
                f'listen.kind = "{kind}" and listen.tls = "direct"; add one, or leave web.ips '
                "empty."
            )


def _check_mechanisms(config: Config) -> None:
    if not config.auth.mechanisms:
        raise ConfigError("auth.mechanisms is empty; list at least one, or remove the option.")
    for mechanism in config.auth.mechanisms:
        if mechanism not in MECHANISMS:
            advice = _meant(mechanism, sorted(MECHANISMS))
            raise ConfigError(f'auth.mechanisms: unknown mechanism "{mechanism}"{advice}.')
    in_clear = [name for name in config.auth.mechanisms if _works_in_clear(name)]
    for listen in config.listen:
        if listen.kind != "client":
            continue
        if listen.tls == "none" and config.tls.required:
            raise ConfigError(
                f'listen.tls = "none" lets nobody log in at "{listen.endpoint}" while TLS is '
                'required; set tls.required = false, or listen.tls = "starttls".'
            )
        if listen.tls == "none" and not in_clear:
            raise ConfigError(
                "auth.mechanisms has no mechanism that works without TLS at "
                f'"{listen.endpoint}"; add SCRAM-SHA-256.'
            )
    if "EXTERNAL" in config.auth.mechanisms and not config.tls.client_ca:
        raise ConfigError(
            'auth.mechanisms has "EXTERNAL", which needs a trusted authority; set tls.client_ca, '
            'or remove "EXTERNAL".'
        )


def _check_tokens(config: Config) -> None:
    for mechanism in config.tokens.mechanisms:
        if mechanism not in TOKEN_MECHANISMS:
            advice = _meant(mechanism, sorted(TOKEN_MECHANISMS))
            raise ConfigError(f'tokens.mechanisms: unknown mechanism "{mechanism}"{advice}.')
    if config.tokens.rotation_s >= config.tokens.lifetime_s:
        raise ConfigError(
            "tokens.rotation_s must be less than tokens.lifetime_s; otherwise a token expires "
            "before the server renews it."
        )


def _works_in_clear(mechanism: str) -> bool:
    return mechanism not in ("EXTERNAL", "OAUTHBEARER") and not mechanism.endswith("-PLUS")


def _check_remote_domains(config: Config) -> None:
    if not config.s2s.enabled and any(listen.kind == "server" for listen in config.listen):
        raise ConfigError(
            'listen.kind = "server" is a listener for other servers, but s2s.enabled is false; '
            "remove one of the two."
        )
    ours = {prepare_domain(domain.name) for domain in config.domain}
    seen = set(ours)
    for remote in config.s2s.domain:
        try:
            name = prepare_domain(remote.name)
        except ValueError:
            raise ConfigError(
                f's2s.domain.name "{remote.name}" is not a domain name; '
                'write it as in DNS, such as "example.net".'
            ) from None
        if name in seen:
            raise ConfigError(
                f's2s.domain.name "{remote.name}" is a domain of this server; remove this table.'
                if name in ours
                else f's2s.domain.name "{remote.name}" appears twice; remove one of the two tables.'
            )
        seen.add(name)
        if not 0 < remote.port < 65_536:
            raise ConfigError(f"s2s.domain.port is {remote.port}; choose a port from 1 to 65535.")
        if remote.stanzas_per_s is not None and remote.stanzas_per_s <= 0:
            raise ConfigError(
                "s2s.domain.stanzas_per_s must be greater than zero; to allow nothing, set block "
                "= true."
            )


def _check_name_servers(config: Config) -> None:
    for text in config.s2s.dns_servers:
        try:
            name_server(text)
        except ValueError:
            raise ConfigError(
                f's2s.dns_servers: "{text}" is not an IP address; write it as "192.0.2.1", or '
                'with its port as "192.0.2.1:53" or "[2001:db8::1]:53".'
            ) from None


WINDOW_BYTES = (1_048_576, 33_554_432)
WINDOW_ENTRIES = (100, 50_000)
LEASE_S = (2.0, 60.0)
MAX_DRAIN_S = 3_600.0
MAX_NAME = 63


def is_cluster_name(name: str) -> bool:
    """Whether this may name a cluster, or a node of it: as a host is called, underscores too."""
    return 0 < len(name) <= MAX_NAME and re.fullmatch(r"[A-Za-z0-9._-]+", name) is not None


def _check_cluster(config: Config) -> None:
    settings = config.cluster
    if not settings.enabled:
        _check_alone(config)
        return
    for key, urls, port in (
        ("redis", settings.redis, REDIS_PORT),
        ("sentinels", settings.sentinels, SENTINEL_PORT),
    ):
        for url in urls:
            try:
                RedisURL.parse(url, port)
            except ValueError as error:
                raise ConfigError(
                    f"cluster.{key} has an invalid URL ({error}); write it as "
                    '"redis://user:password@host:port".'
                ) from None
    if len(set(settings.redis)) < len(settings.redis):
        raise ConfigError("cluster.redis names the same Redis twice; remove one of the two.")
    if not settings.secret_file:
        raise ConfigError(
            "cluster.secret_file is missing; create a file with `openssl rand -hex 32`, copy it to "
            "every node, and name it here."
        )
    if not is_cluster_name(settings.name):
        raise ConfigError(
            f'cluster.name "{settings.name}" is not a valid name; use letters, digits and hyphens.'
        )
    _check_cluster_numbers(settings)
    _check_addresses(config)


def _check_alone(config: Config) -> None:
    if config.cluster != ClusterSettings():
        raise ConfigError(
            "cluster.redis is empty, so this server would have no other nodes; name the Redis of "
            'the cluster, such as ["redis://127.0.0.1"], or remove the table [cluster].'
        )
    for listen in config.listen:
        if listen.kind == "node":
            raise ConfigError(
                f'listen.endpoint "{listen.endpoint}" is for nodes, but this server is not a '
                "node; set cluster.redis, or remove this listener."
            )


def _check_cluster_numbers(settings: ClusterSettings) -> None:
    least, most = LEASE_S
    if not least <= settings.lease_s <= most:
        raise ConfigError(
            f"cluster.lease_s is {settings.lease_s:g}; it must be from {least:g} s to {most:g} s."
        )
    if settings.grace_s < settings.lease_s:
        raise ConfigError(
            f"cluster.grace_s is {settings.grace_s:g}, less than cluster.lease_s; make it longer."
        )
    if settings.drain_s > MAX_DRAIN_S:
        raise ConfigError(
            f"cluster.drain_s is {settings.drain_s:g}; it must be at most {MAX_DRAIN_S:g} seconds."
        )
    for key, value, (least_window, most_window) in (
        ("window_bytes", settings.window_bytes, WINDOW_BYTES),
        ("window_entries", settings.window_entries, WINDOW_ENTRIES),
    ):
        if not least_window <= value <= most_window:
            raise ConfigError(
                f"cluster.{key} is {value}; it must be from {least_window} to {most_window}."
            )


def _check_addresses(config: Config) -> None:
    settings = config.cluster
    for key, address, port in (
        ("address", settings.address, 5280),
        ("client_address", settings.client_address, 5222),
    ):
        try:
            if address:
                host_and_port(address)
        except ValueError:
            raise ConfigError(
                f'cluster.{key} "{address}" is not a valid address; write it as '
                f'"host.example.org:{port}".'
            ) from None
    if settings.client_url and urlsplit(settings.client_url).scheme != "https":
        raise ConfigError(
            f'cluster.client_url "{settings.client_url}" is not a valid URL; write it as '
            '"https://a.example.org:5443".'
        )
    if settings.links == "redis":
        return
    has_door = any(listen.kind == "node" for listen in config.listen)
    if not has_door and (settings.links == "direct" or settings.address):
        why = 'links is "direct"' if settings.links == "direct" else "address is set"
        raise ConfigError(
            f"cluster.{why}, but there is no listener for nodes; add a [[listen]] table with "
            'kind = "node", or set cluster.links = "redis".'
        )
    if has_door and not settings.address:
        raise ConfigError(
            "cluster.address is empty, so other nodes do not know where to reach this one; set "
            'it, or set cluster.links = "redis".'
        )


def _check_log(config: Config) -> None:
    for namespace, level in config.log.levels.items():
        if level not in LOG_LEVELS:
            raise ConfigError(
                f"log.levels.{namespace} is {level!r}; use one of {', '.join(LOG_LEVELS)}."
            )


def _check_plugins(config: Config) -> None:
    seen = set()
    for name in config.plugins.load:
        if name in seen:
            raise ConfigError(f'plugins.load names "{name}" twice; remove one of the two.')
        seen.add(name)


CHECKS: tuple[Callable[[Config], None], ...] = (
    _check_domains,
    _check_components,
    _check_admins,
    _check_roles,
    _check_names,
    _check_certificates,
    _check_ports,
    _check_auth,
    _check_web,
    _check_mechanisms,
    _check_tokens,
    _check_remote_domains,
    _check_name_servers,
    _check_cluster,
    _check_log,
    _check_plugins,
)
