"""The file ``xmppd.toml``: read as a Config, or refused with a sentence."""

import math
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from msgspec import ValidationError, convert
from msgspec.structs import fields, replace

from xmppd.config.config import (
    AuthSettings,
    ComponentSettings,
    Config,
    DomainSettings,
    Level,
    Mark,
    Section,
    is_marked,
    leaves,
    name_server,
    type_of,
)
from xmppd.config.permissions import Writable, check_unwritable
from xmppd.stanza.jid import JID, prepare_domain, prepare_local

MECHANISMS = frozenset((*AuthSettings().mechanisms, "EXTERNAL", "ANONYMOUS"))
TOKEN_MECHANISMS = frozenset(
    f"HT-SHA-{bits}-{binding}" for bits in (256, 512) for binding in ("EXPR", "ENDP", "NONE")
)
LOG_LEVELS = get_args(Level)

_IN_TOML = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean (true or false)",
    "array": "an array",
    "object": "a table",
}


class ConfigError(ValueError):
    """The file cannot be used; the text is one sentence that says which key, and what to do."""


def load(path: Path) -> Config:
    """Read the file, and refuse it whole if anything in it is wrong.

    In the result addresses are prepared and paths are absolute: those in the file are relative to
    the file, but a SQLite database lies in the data directory.

    Args:
        path: The file, usually ``/etc/xmppd/xmppd.toml``.

    Raises:
        ConfigError: With a sentence for the administrator, for the first mistake found.
    """
    try:
        table = _parsed(path)
        _refuse_unknown_keys(table, Config, "")
        config = _typed(table)
        for check in _CHECKS:
            check(config)
        return _prepared(config, path.absolute().parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


# --- reading ---------------------------------------------------------------------------------


def _parsed(path: Path) -> dict[str, object]:
    try:
        check_unwritable(path)
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file; let `xmppd setup` write one, or name another with --config."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"it cannot be read ({error.strerror}); make it a file that this user may read."
        ) from None
    except Writable as error:
        raise ConfigError(f"{error}.") from None
    except UnicodeDecodeError:
        raise ConfigError("it is not UTF-8 text; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rstrip(")").partition(" (at ")
        raise ConfigError(f"{where} is not TOML ({what}); correct it there.") from None


def _refuse_unknown_keys(table: Mapping[str, object], kind: type[Section], where: str) -> None:
    known = {field.name: type_of(field) for field in fields(kind)}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{where}{key} is not an option; {_advice(key, where, list(known))}.")
        expected = known[key]
        inner = expected if isinstance(expected, type) else next(iter(get_args(expected)), None)
        if not isinstance(inner, type) or not issubclass(inner, Section):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                _refuse_unknown_keys(part, inner, f"{where}{key}.")


def _advice(key: str, where: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=1)
    if near:
        return f"write {where}{near[0]}, if that is meant"
    elsewhere = [name for name, _ in leaves(Config()) if name.endswith(f".{key}")]
    if elsewhere:
        return f"write it in its own table, as {' or '.join(elsewhere)}"
    return f"remove it, or use one of {', '.join(known)}"


def _typed(table: Mapping[str, object]) -> Config:
    try:
        return convert(table, Config)
    except ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        raise ConfigError(_explained(what, place.strip("`."))) from None


def _explained(what: str, place: str) -> str:
    """Say what msgspec found in the words of TOML."""
    key = re.sub(r"\[(\d+)\]", lambda found: f"[{int(found[1]) + 1}]", place)
    key = key.replace("[...]", ".*")
    if mismatch := re.fullmatch(r"Expected `(\w+)`, got `(\w+)`", what):
        expected, actual = (_IN_TOML.get(name, name) for name in mismatch.groups())
        return f"{key} is {actual}; make it {expected}."
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", what):
        return f"{key} lacks {missing[1]}; add it."
    if unknown := re.fullmatch(r"Invalid enum value (.+)", what):
        return f"{key} cannot be {unknown[1]}; use one of {', '.join(_choices(place))}."
    return f"{key}: {what}."


def _choices(place: str) -> tuple[str, ...]:
    """What the Literal at a place such as ``listen[0].kind`` allows."""
    section, _, key = re.sub(r"\[\d+\]", "", place).rpartition(".")
    kind = {field.name: type_of(field) for field in fields(Config)}[section]
    inner = kind if isinstance(kind, type) and issubclass(kind, Section) else get_args(kind)[0]
    return get_args({field.name: type_of(field) for field in fields(inner)}[key])


def _prepared(config: Config, base: Path) -> Config:
    def absolute(text: str) -> str:
        return str(base / text) if text else ""

    data = base / config.data
    prefix, slashes, database = config.storage.url.partition("sqlite:///")
    if slashes and database and database != ":memory:":
        url = f"{prefix}{slashes}{data / database}"
    else:
        url = config.storage.url
    return replace(
        config,
        data=str(data),
        admins=tuple(JID.parse(admin).bare for admin in config.admins),
        domain=tuple(
            DomainSettings(
                name=prepare_domain(domain.name),
                certificate=absolute(domain.certificate),
                key=absolute(domain.key),
            )
            for domain in config.domain
        ),
        component=tuple(_with_secret(component, base) for component in config.component),
        tls=replace(config.tls, client_ca=absolute(config.tls.client_ca)),
        s2s=replace(
            config.s2s,
            authorities=absolute(config.s2s.authorities),
            domain=tuple(
                replace(remote, name=prepare_domain(remote.name)) for remote in config.s2s.domain
            ),
        ),
        storage=replace(config.storage, url=url),
        plugins=replace(config.plugins, directory=absolute(config.plugins.directory)),
    )


def _with_secret(component: ComponentSettings, base: Path) -> ComponentSettings:
    """The component with what its file says, if it has one."""
    name = prepare_domain(component.name)
    if not component.secret_file:
        return replace(component, name=name)
    path = base / component.secret_file
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f'component.secret_file "{path}" cannot be read ({reason}); '
            "make it a file that this user may read, and nobody else."
        ) from None
    if not secret:
        raise ConfigError(f'component.secret_file "{path}" is empty; write the secret into it.')
    return replace(component, name=name, secret=secret, secret_file=str(path))


# --- what cannot be together ---------------------------------------------------------------


def _check_numbers(config: Config) -> None:
    for table in fields(Config):
        section = getattr(config, table.name)
        if isinstance(section, Section):
            check_numbers(section, table.name)


def check_numbers(section: Section, where: str) -> None:
    """Whether the numbers of a table may be what they are.

    Raises:
        ConfigError: One of them is not greater than zero, and is not marked as one that may be.
    """
    for field in fields(section):
        value = getattr(section, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        may_be_zero = is_marked(field, Mark.MAY_BE_ZERO)
        if not math.isfinite(value) or value < 0 or (value == 0 and not may_be_zero):
            raise ConfigError(f"{where}.{field.name} is {value}; make it greater than zero.")


def _check_domains(config: Config) -> None:
    if not config.domain:
        raise ConfigError('there is no domain; add a [[domain]] table with name = "example.org".')
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
            raise ConfigError(f'domain.name "{domain.name}" is there twice; remove one of them.')
        seen.add(name)


def _check_delegated(config: Config) -> None:
    taken: dict[str, str] = {}
    for component in config.component:
        for text in component.delegate:
            namespace = text.partition(" ")[0]
            if namespace in taken:
                raise ConfigError(
                    f'component.delegate has "{namespace}" for {component.name} and for '
                    f"{taken[namespace]}; only one of them can answer for it."
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
                f'component.name "{component.name}" is a domain or a component already; '
                "give it a name of its own."
            )
        taken.add(name)
        if bool(component.secret) == bool(component.secret_file):
            raise ConfigError(
                f'component "{component.name}" needs a secret; '
                "set either component.secret or component.secret_file."
            )
        if component.max_connections < 1:
            raise ConfigError(
                f"component.max_connections is {component.max_connections}; "
                "make it greater than zero."
            )
    _check_delegated(config)
    if config.component and all(listen.kind != "component" for listen in config.listen):
        raise ConfigError(
            f'component "{config.component[0].name}" has no door; add a [[listen]] table with '
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
                f'admins has "{admin}", which is no account; write it as "romeo@example.org".'
            )


def _check_names(config: Config) -> None:
    for name in config.registration.reserved_names:
        try:
            prepare_local(name)
        except ValueError:
            raise ConfigError(
                f'registration.reserved_names has "{name}", which no account can have; '
                "write the part of an address before the @."
            ) from None


def _check_certificates(config: Config) -> None:
    for domain in config.domain:
        if domain.key and not domain.certificate:
            raise ConfigError(
                f'domain.key of "{domain.name}" has no certificate; add domain.certificate.'
            )
    for listen in config.listen:
        if listen.kind == "component" and listen.tls == "starttls":
            raise ConfigError(
                f'listen.endpoint "{listen.endpoint}" is for components, who know no STARTTLS; '
                'set listen.tls = "none", or "direct".'
            )
        bare = next((d.name for d in config.domain if not d.certificate), None)
        if listen.tls != "none" and bare is not None:
            raise ConfigError(
                f'listen.endpoint "{listen.endpoint}" has tls = "{listen.tls}" but domain '
                f'"{bare}" has no certificate; add domain.certificate, or set listen.tls = "none".'
            )


def _check_mechanisms(config: Config) -> None:
    if not config.auth.mechanisms:
        raise ConfigError("auth.mechanisms is empty; name at least one, or leave the key out.")
    for mechanism in config.auth.mechanisms:
        if mechanism not in MECHANISMS:
            near = get_close_matches(mechanism, sorted(MECHANISMS), n=1) or sorted(MECHANISMS)
            raise ConfigError(
                f'auth.mechanisms does not know "{mechanism}"; use {" or ".join(near)}.'
            )
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
                f'auth.mechanisms has none that works without TLS at "{listen.endpoint}"; '
                "add SCRAM-SHA-256."
            )
    if "EXTERNAL" in config.auth.mechanisms and not config.tls.client_ca:
        raise ConfigError(
            'auth.mechanisms has "EXTERNAL" but no authority is trusted for it; '
            "set tls.client_ca, or leave EXTERNAL out."
        )


def _check_tokens(config: Config) -> None:
    for mechanism in config.tokens.mechanisms:
        if mechanism not in TOKEN_MECHANISMS:
            known = sorted(TOKEN_MECHANISMS)
            near = get_close_matches(mechanism, known, n=1) or known
            raise ConfigError(
                f'tokens.mechanisms does not know "{mechanism}"; use {" or ".join(near)}.'
            )
    if config.tokens.rotation_s >= config.tokens.lifetime_s:
        raise ConfigError(
            "tokens.rotation_s is not less than tokens.lifetime_s; a token would expire before "
            "it is followed by another."
        )


def _works_in_clear(mechanism: str) -> bool:
    return mechanism != "EXTERNAL" and not mechanism.endswith("-PLUS")


def _check_remote_domains(config: Config) -> None:
    if not config.s2s.enabled and any(listen.kind == "server" for listen in config.listen):
        raise ConfigError(
            'listen.kind = "server" has a door for other servers, but s2s.enabled is false; '
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
            whose = "is one of ours" if name in ours else "is there twice"
            raise ConfigError(f's2s.domain.name "{remote.name}" {whose}; remove it.')
        seen.add(name)
        if not 0 < remote.port < 65_536:
            raise ConfigError(f"s2s.domain.port is {remote.port}; make it a port from 1 to 65535.")
        if remote.stanzas_per_s is not None and remote.stanzas_per_s <= 0:
            raise ConfigError("s2s.domain.stanzas_per_s must be greater than zero; or set block.")


def _check_name_servers(config: Config) -> None:
    for text in config.s2s.dns_servers:
        try:
            name_server(text)
        except ValueError:
            raise ConfigError(
                f's2s.dns_servers has "{text}", which is no IP address; write it as '
                '"192.0.2.1", or with its port as "192.0.2.1:53" or "[2001:db8::1]:53".'
            ) from None


def _check_log(config: Config) -> None:
    for namespace, level in config.log.levels.items():
        if level not in LOG_LEVELS:
            raise ConfigError(
                f"log.levels.{namespace} cannot be '{level}'; use one of {', '.join(LOG_LEVELS)}."
            )


def _check_plugins(config: Config) -> None:
    seen = set()
    for name in config.plugins.load:
        if name in seen:
            raise ConfigError(f'plugins.load names "{name}" twice; remove one of them.')
        seen.add(name)


_CHECKS = (
    _check_numbers,
    _check_domains,
    _check_components,
    _check_admins,
    _check_names,
    _check_certificates,
    _check_mechanisms,
    _check_tokens,
    _check_remote_domains,
    _check_name_servers,
    _check_log,
    _check_plugins,
)
