"""What a start, a reload and ``config check`` warn of: it works, and is hardly what was meant."""

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import fields

from xmppd.config.config import Config
from xmppd.config.permissions import readable_by_others
from xmppd.config.section import Section
from xmppd.host.clocks import Clocks
from xmppd.host.data_directory import DataDirectory
from xmppd.net.certificate_ends import CertificateEnds
from xmppd.net.tls import TLS
from xmppd.store.engine import has_password

SQLITE = "sqlite:///"
URIS = ("https:", "mailto:", "xmpp:")
MOST_PER_S = 1e9
"""A rate above that limits nothing."""


def warnings(path: Path, config: Config, tls: TLS | None, clocks: Clocks) -> list[str]:
    """All of them, a sentence for each.

    Args:
        path: The configuration file.
        config: Its content.
        tls: The certificates in its files; None if there are none.
        clocks: Tell the time of day.
    """
    found = [*exposed(path, config), *_contacts(config), *_rates(config, ""), *_plugins(config)]
    if tls is not None:
        domains = tuple(domain.name for domain in config.domain if not domain.acme)
        found += (end.says for end in CertificateEnds(tls, domains, clocks).soon())
    return found


def exposed(path: Path, config: Config) -> list[str]:
    """Files with secrets in them that all users of this machine may read, a sentence for each.

    Args:
        path: The configuration file.
        config: Its content.
    """
    data = Path(config.data)
    files = [DataDirectory(data).secret_file]
    files += [Path(domain.key or domain.certificate) for domain in config.domain if domain.key]
    url = config.storage.url
    if url.startswith(SQLITE):
        files.append(Path(url.removeprefix(SQLITE)))
    cluster = (*config.cluster.redis_urls, *config.cluster.sentinel_urls)
    if (
        has_password(url)
        or any(component.secret for component in config.component)
        or any(each.password for each in cluster)
    ):
        files.append(path)
    return [
        f"others may read {file}, which holds secrets; run: chmod o-r {file}"
        for file in files
        if readable_by_others(file)
    ]


def _contacts(config: Config) -> Iterator[str]:
    for kind in fields(type(config.contact)):
        for address in getattr(config.contact, kind.name):
            if not address.startswith(URIS):
                example = f"mailto:{address}" if "@" in address else "mailto:abuse@example.org"
                yield (
                    f'contact.{kind.name}: "{address}" is not a URI that clients can open; write '
                    f'it as "{example}"'
                )


def _rates(section: Section, where: str) -> Iterator[str]:
    for field in fields(type(section)):
        value = getattr(section, field.name)
        if isinstance(value, Section):
            yield from _rates(value, f"{where}{field.name}.")
        elif field.name.endswith("_per_s") and isinstance(value, float) and value > MOST_PER_S:
            much = f"{value:,.0f}"
            yield f"{where}{field.name} is {much}, which limits nothing; take a smaller number"


def _plugins(config: Config) -> Iterator[str]:
    directory = config.plugins.directory
    if directory and not Path(directory).is_dir():
        yield f"plugins.directory {directory} does not exist; make it, or remove the option"


__all__ = ["warnings"]
