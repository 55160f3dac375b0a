"""What a start, a reload and ``config check`` warn of: it works, and is hardly what was meant. And
what only ``config check`` remarks: it is meant so, and costs something.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import fields

from xmppd.config.config import Config
from xmppd.config.option_places import placed
from xmppd.config.permissions import readable_by_others
from xmppd.config.section import Section
from xmppd.host.clocks import Clocks
from xmppd.host.data_directory import DataDirectory
from xmppd.net.certificate_ends import CertificateEnds
from xmppd.net.certificate_keys import cost_of, kind_of
from xmppd.net.tls import TLS
from xmppd.store.engine import has_password

SQLITE = "sqlite:///"
URIS = ("https:", "mailto:", "xmpp:")
MOST_PER_S = 1e9
"""A rate above that limits nothing."""


def warnings(path: Path, config: Config, tls: TLS | None, clocks: Clocks) -> list[str]:
    """All of them: a sentence for each, behind the file and the line that it is about.

    Args:
        path: The configuration file.
        config: Its content.
        tls: The certificates in its files; None if there are none.
        clocks: Tell the time of day.
    """
    found = [*_exposed(path, config), *_contacts(config), *_rates(config, ""), *_plugins(config)]
    if tls is not None:
        found += _certificates(config, CertificateEnds(tls, tuple(_signed(config)), clocks))
    text = text_of(path)
    return [placed(path, text, sentence, option) for option, sentence in found]


def remarks(path: Path, config: Config, tls: TLS | None) -> list[str]:
    """What could cost less, likewise: certificates with RSA keys, but of those that an authority
    signs for us.
    """
    found, text = [], text_of(path)
    for domain, option in _signed(config).items():
        shown = None if tls is None else tls.identity(domain)
        if shown is not None and (cost := cost_of(shown[1].key)):
            sentence = f"the certificate of {domain} has the key {kind_of(shown[1].key)}: {cost}"
            found.append(placed(path, text, sentence, option))
    return found


def text_of(path: Path) -> str:
    """The file, to find lines in it; empty if it cannot be read any more."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


Found: TypeAlias = Iterator[tuple[str, str]]
"""An option, and a sentence about it."""


def _signed(config: Config) -> dict[str, str]:
    """The option of each domain's certificate, but of those that an authority signs for us."""
    return {
        domain.name: f"domain[{number}].certificate"
        for number, domain in enumerate(config.domain, 1)
        if not domain.acme
    }


def _certificates(config: Config, ends: CertificateEnds) -> Found:
    options = _signed(config)
    for end in ends.soon():
        yield options[end.domain], end.says


def _exposed(path: Path, config: Config) -> Found:
    """Files with secrets in them that all users of this machine may read."""
    data = Path(config.data)
    files = [("data", DataDirectory(data).secret_file)]
    files += [
        (f"domain[{number}].key", Path(domain.key))
        for number, domain in enumerate(config.domain, 1)
        if domain.key
    ]
    url = config.storage.url
    if url.startswith(SQLITE):
        files.append(("storage.url", Path(url.removeprefix(SQLITE))))
    cluster = (*config.cluster.redis_urls, *config.cluster.sentinel_urls)
    secrets = {
        "storage.url": has_password(url),
        "component": any(component.secret for component in config.component),
        "cluster": any(each.password for each in cluster),
    }
    files += [(option, path) for option, is_there in secrets.items() if is_there][:1]
    for option, file in files:
        if readable_by_others(file):
            yield option, f"others may read {file}, which holds secrets; run: chmod o-r {file}"


def _contacts(config: Config) -> Found:
    for kind in fields(type(config.contact)):
        for address in getattr(config.contact, kind.name):
            if not address.startswith(URIS):
                example = f"mailto:{address}" if "@" in address else "mailto:abuse@example.org"
                name = f"contact.{kind.name}"
                says = f'"{address}" is not a URI that clients can open; write it as "{example}"'
                yield name, f"{name}: {says}"


def _rates(section: Section, where: str) -> Found:
    for field in fields(type(section)):
        value = getattr(section, field.name)
        if isinstance(value, Section):
            yield from _rates(value, f"{where}{field.name}.")
        elif field.name.endswith("_per_s") and isinstance(value, float) and value > MOST_PER_S:
            name, much = f"{where}{field.name}", f"{value:,.0f}"
            yield name, f"{name} is {much}, which limits nothing; choose a smaller number"


def _plugins(config: Config) -> Found:
    directory = config.plugins.directory
    if directory and not Path(directory).is_dir():
        name = "plugins.directory"
        yield name, f"{name} {directory} does not exist; create it, or remove the option"


__all__ = ["remarks", "text_of", "warnings"]
