"""The configuration: ``xmppd.toml`` as frozen, typed values, checked before anything starts."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct, ValidationError, convert
from msgspec.structs import asdict, fields, replace

from xmppd.stanza.jid import JID, prepare_domain


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the file; a key it does not know stops the start."""


class Listen(Section, frozen=True):
    """A ``[[listen]]`` table: one door, named by a Twisted endpoint string."""

    endpoint: str
    kind: Literal["client"] = "client"
    tls: Literal["none", "starttls", "direct"] = "starttls"


class Domain(Section, frozen=True):
    """A ``[[domain]]`` table: a domain served here, and its certificate."""

    name: str
    certificate: str = ""
    key: str = ""


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
    max_delay_s: float = 60.0
    failures_before_lockout: int = 100
    lockout_s: float = 3_600.0
    remembered_addresses: int = 100_000


class Registration(Section, frozen=True):
    """``[registration]``: in-band registration (XEP-0077)."""

    open: bool = False
    change_password: bool = True
    remove_account: bool = True
    per_address_per_hour: int = 5
    min_password_length: int = 8


class Sessions(Section, frozen=True):
    """``[sessions]``: how many, and who wins when two want one resource."""

    max_per_account: int = 10
    conflict: Literal["kick", "refuse", "rename"] = "kick"


class Roster(Section, frozen=True):
    """``[roster]``: how large a roster may become."""

    max_items: int = 2_000
    max_groups_per_item: int = 32


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
        "invisible",
        "register",
        "contact_addresses",
        "adhoc_commands",
        "service_administration",
        "stream_limits",
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

    level: Literal["debug", "info", "warn", "error", "critical"] = "info"
    levels: dict[str, str] = {}


class Config(Section, frozen=True):
    """The whole file."""

    data: str = "data"
    admins: tuple[str, ...] = ()
    domain: tuple[Domain, ...] = ()
    listen: tuple[Listen, ...] = ()
    tls: TLS = TLS()
    stream: Stream = Stream()
    auth: Auth = Auth()
    registration: Registration = Registration()
    sessions: Sessions = Sessions()
    roster: Roster = Roster()
    presence: Presence = Presence()
    offline: Offline = Offline()
    items: Items = Items()
    storage: Storage = Storage()
    plugins: Plugins = Plugins()
    contact: ContactAddresses = ContactAddresses()
    log: Log = Log()


MECHANISMS = frozenset((*Auth().mechanisms, "EXTERNAL", "ANONYMOUS"))
LOG_LEVELS = ("debug", "info", "warn", "error", "critical")

_MAY_BE_ZERO = frozenset({"offline.max_messages", "offline.max_bytes"})  # nothing is kept

_APPLIES_NOW = (
    "domain.certificate",
    "domain.key",
    "stream.",
    "auth.attempts_per_stream",
    "auth.failures_before_delay",
    "auth.max_delay_s",
    "auth.failures_before_lockout",
    "auth.lockout_s",
    "auth.remembered_addresses",
    "registration.",
    "presence.",
    "offline.",
    "plugins.",
    "contact.",
    "log.",
)

# Of those above: what a port keeps from when it was opened.
_NEEDS_RESTART = frozenset({"stream.max_queued_bytes"})

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
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return _prepared(config, path.absolute().parent)


def changed(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """Which keys a reload would change.

    Args:
        old: What the server runs with.
        new: What the file says now.

    Returns:
        The dotted keys that apply at once, and those that need a restart.
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
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


def _leaves(config: Config) -> Iterator[tuple[str, object]]:
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


# --- reading ---------------------------------------------------------------------------------


def _parsed(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file; let `xmppd setup` write one, or name another with --config."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"it cannot be read ({error.strerror}); make it a file that this user may read."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError("it is not UTF-8 text; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rstrip(")").partition(" (at ")
        raise ConfigError(f"{where} is not TOML ({what}); correct it there.") from None


def _refuse_unknown_keys(table: Mapping[str, object], kind: type[Section], where: str) -> None:
    known = {field.name: field.type for field in fields(kind)}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{where}{key} is not an option; {_advice(key, where, list(known))}.")
        expected = known[key]
        inner = expected if isinstance(expected, type) else next(iter(get_args(expected)), None)
        if not isinstance(inner, type) or not issubclass(inner, Section):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                _refuse_unknown_keys(part, inner, f"{key}.")


def _advice(key: str, where: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=1)
    if near:
        return f"write {where}{near[0]}, if that is meant"
    elsewhere = [name for name, _ in _leaves(Config()) if name.endswith(f".{key}")]
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
    kind = {field.name: field.type for field in fields(Config)}[section]
    inner = kind if isinstance(kind, type) and issubclass(kind, Section) else get_args(kind)[0]
    return get_args({field.name: field.type for field in fields(inner)}[key])


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
            Domain(
                name=prepare_domain(domain.name),
                certificate=absolute(domain.certificate),
                key=absolute(domain.key),
            )
            for domain in config.domain
        ),
        tls=replace(config.tls, client_ca=absolute(config.tls.client_ca)),
        storage=replace(config.storage, url=url),
        plugins=replace(config.plugins, directory=absolute(config.plugins.directory)),
    )


# --- what cannot be together ---------------------------------------------------------------


def _check_numbers(config: Config) -> None:
    for key, value in _leaves(config):
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and key not in _MAY_BE_ZERO):
            raise ConfigError(f"{key} is {value}; make it greater than zero.")


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


def _check_certificates(config: Config) -> None:
    for domain in config.domain:
        if domain.key and not domain.certificate:
            raise ConfigError(
                f'domain.key of "{domain.name}" has no certificate; add domain.certificate.'
            )
    for listen in config.listen:
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


def _works_in_clear(mechanism: str) -> bool:
    return mechanism != "EXTERNAL" and not mechanism.endswith("-PLUS")


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
    _check_admins,
    _check_certificates,
    _check_mechanisms,
    _check_log,
    _check_plugins,
)
