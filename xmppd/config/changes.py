"""Changes of the file: those that apply while the server runs, and those that need a restart."""

from collections.abc import Iterator

from msgspec.structs import asdict, fields, replace

from xmppd.config.config import Config, DomainSettings
from xmppd.config.section import Mark, Section, is_marked


def merged(old: Config, new: Config) -> Config:
    """The configuration of a server after a reload.

    Args:
        old: The one before.
        new: The one in the file now.

    Returns:
        The old values of keys that need a restart, and the new values of all others.
    """
    tables: dict[str, object] = {}
    for field in fields(Config):
        kept, read = getattr(old, field.name), getattr(new, field.name)
        if not is_marked(field, Mark.RESTART):
            tables[field.name] = _merged(kept, read) if isinstance(read, Section) else read
    tables["domain"] = _with_certificates(old.domain, new.domain)
    return replace(old, **tables)


def _merged(old: Section, new: Section) -> Section:
    kept = [field.name for field in fields(new) if is_marked(field, Mark.RESTART)]
    return replace(new, **{name: getattr(old, name) for name in kept})


def _with_certificates(
    old: tuple[DomainSettings, ...], new: tuple[DomainSettings, ...]
) -> tuple[DomainSettings, ...]:
    """The domains of before, with their present certificates."""
    known = {(domain.name, domain.acme): domain for domain in new}
    return tuple(
        replace(known.get((domain.name, domain.acme), domain), auth=domain.auth) for domain in old
    )


def changed(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """The keys that a reload would change.

    Args:
        old: The server's configuration.
        new: The one in the file now.

    Returns:
        The dotted keys that apply at once, and those that need a restart.
    """
    after = merged(old, new)
    return _differing(old, after), _differing(after, new)


def _differing(one: Config, other: Config) -> list[str]:
    here, there = dict(leaves(one)), dict(leaves(other))
    keys = here.keys() | there.keys()
    return sorted(key for key in keys if here.get(key) != there.get(key))


def leaves(config: Config) -> Iterator[tuple[str, object]]:
    """All values by their dotted keys; those of all domains together; of plugins, their tables."""
    for section, value in asdict(config).items():
        if section == "domain":
            yield from _domain_leaves(config.domain)
        elif section == "plugin_tables":
            for name, table in config.plugin_tables.items():
                yield from ((f"{name}.{key}", leaf) for key, leaf in table.items())
        elif isinstance(value, Section):
            yield from ((f"{section}.{key}", leaf) for key, leaf in asdict(value).items())
        else:
            yield section, value


def _domain_leaves(domains: tuple[DomainSettings, ...]) -> Iterator[tuple[str, object]]:
    yield "domain.name", {domain.name for domain in domains}
    yield (
        "domain.certificate",
        {each.name: each.certificate for each in domains if each.certificate},
    )
    yield "domain.auth", {each.name: each.auth for each in domains if each.auth != ("internal",)}
    yield "domain.acme", {each.name for each in domains if each.acme}
    yield "domain.key", {each.name: each.key for each in domains if each.key}
