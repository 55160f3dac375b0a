"""The file ``xmppd.toml``: read as a Config, or refused with a sentence."""

from pathlib import Path
from socket import gethostname
from typing import Any

from msgspec.structs import fields, replace

from xmppd.config.checks import CHECKS, is_cluster_name
from xmppd.config.config import ClusterSettings, ComponentSettings, Config, DomainSettings
from xmppd.config.option_places import placed
from xmppd.config.permissions import Writable, check_unwritable, readable_by_others
from xmppd.config.table import ConfigError, read
from xmppd.config.toml_text import parsed
from xmppd.stanza.jid import JID, prepare_domain

MIN_SECRET_BYTES = 32
MAX_SECRET_BYTES = 1_024


def load(path: Path) -> Config:
    """Read the file, and refuse it whole if anything in it is wrong.

    In the result addresses are prepared and paths are absolute: those in the file are relative to
    the file, but a SQLite database lies in the data directory. The table of a plugin is left to the
    plugin, which alone knows what it may say.

    Args:
        path: The file, usually ``/etc/xmppd/xmppd.toml``.

    Raises:
        ConfigError: With a sentence for the administrator, for the first mistake found.
    """
    text = ""
    try:
        text = _text(path)
        return read_text(text, path)
    except ConfigError as error:
        raise ConfigError(placed(path, text, str(error))) from None


def read_text(text: str, path: Path) -> Config:
    """Read what the file may say, and refuse it whole if anything in it is wrong.

    Args:
        text: In the place of what is in the file.
        path: The file.

    Raises:
        ConfigError: With a sentence for the administrator, for the first mistake found.
    """
    table = parsed(text)
    plugins = _named_plugins(table)
    own = {name: table.pop(name) for name in plugins if isinstance(table.get(name), dict)}
    config = replace(read(table, Config, others=plugins), plugin_tables=own)
    for check in CHECKS:
        check(config)
    return _prepared(config, path.absolute().parent)


def _text(path: Path) -> str:
    try:
        check_unwritable(path)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            "this file does not exist; run `xmppd setup` to write one, or name another with "
            "--config."
        ) from None
    except IsADirectoryError:
        raise ConfigError("this is a directory; name the file in it.") from None
    except OSError as error:
        raise ConfigError(
            f"cannot be read ({error.strerror}); let the user that runs xmppd read the file."
        ) from None
    except Writable as error:
        raise ConfigError(f"{error}.") from None
    except UnicodeDecodeError:
        raise ConfigError("not valid UTF-8; save the file as UTF-8.") from None


def _named_plugins(table: dict[str, Any]) -> list[str]:
    """The plugins that are loaded, as far as the file says so, and that may have tables."""
    plugins = table.get("plugins", {})
    load = plugins.get("load", [*Config().plugins.load]) if isinstance(plugins, dict) else []
    ours = {field.name for field in fields(Config)}
    names = load if isinstance(load, list) else []
    return [name for name in names if isinstance(name, str) and name not in ours]


def _prepared(config: Config, base: Path) -> Config:
    def absolute(text: str) -> str:
        return str(base / text) if text else ""

    data = base / config.data
    return replace(
        config,
        data=str(data),
        admins=tuple(JID.parse(admin).bare for admin in config.admins),
        domain=tuple(
            _with_files(replace(domain, name=prepare_domain(domain.name)), base, data)
            for domain in config.domain
        ),
        component=tuple(_with_secret(component, base) for component in config.component),
        tls=replace(config.tls, client_ca=absolute(config.tls.client_ca)),
        acme=replace(config.acme, authorities=absolute(config.acme.authorities)),
        s2s=replace(
            config.s2s,
            authorities=absolute(config.s2s.authorities),
            domain=tuple(
                replace(remote, name=prepare_domain(remote.name)) for remote in config.s2s.domain
            ),
        ),
        storage=replace(config.storage, url=database_url(config.storage.url, data)),
        cluster=_with_cluster_secret(config.cluster, base),
        plugins=replace(config.plugins, directory=absolute(config.plugins.directory)),
    )


def database_url(url: str, data: Path) -> str:
    """The URL of a database; that of an SQLite file is relative to the data directory."""
    prefix, slashes, database = url.partition("sqlite:///")
    if slashes and database and database != ":memory:":
        return f"{prefix}{slashes}{data / database}"
    return url


def _with_files(domain: DomainSettings, base: Path, data: Path) -> DomainSettings:
    """The domain with the paths of its files; those that an authority signs are in our data."""
    if domain.acme:
        return replace(domain, certificate=str(data / "acme" / f"{domain.name}.pem"))
    certificate = str(base / domain.certificate) if domain.certificate else ""
    key = str(base / domain.key) if domain.key else ""
    return replace(domain, certificate=certificate, key=key)


def _with_secret(component: ComponentSettings, base: Path) -> ComponentSettings:
    """The component with the secret in its file, if it has one."""
    name = prepare_domain(component.name)
    if not component.secret_file:
        return replace(component, name=name)
    path = base / component.secret_file
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not valid UTF-8"
        raise ConfigError(
            f'component.secret_file "{path}" cannot be read ({reason}); write the secret into '
            "this file, and let only root and the user that runs xmppd read it."
        ) from None
    if not secret:
        raise ConfigError(f'component.secret_file "{path}" is empty; write the secret into it.')
    return replace(component, name=name, secret=secret, secret_file=str(path))


def _with_cluster_secret(settings: ClusterSettings, base: Path) -> ClusterSettings:
    """The settings of a node, with its name and the secret in the file."""
    if not settings.enabled:
        return settings
    node = settings.node or gethostname()
    if not is_cluster_name(node):
        raise ConfigError(
            f'cluster.node "{node}" is not a valid name; use letters, digits and hyphens.'
        )
    authorities = str(base / settings.authorities) if settings.authorities else ""
    path = base / settings.secret_file
    return replace(
        settings,
        node=node,
        authorities=authorities,
        secret_file=str(path),
        secret=_cluster_secret(path),
    )


def _cluster_secret(path: Path) -> bytes:
    """The secret of a cluster: who has it can speak for any account of the service."""
    try:
        check_unwritable(path)
        if readable_by_others(path):
            raise ConfigError(
                f"cluster.secret_file: others may read {path}; run: chmod o-r {path}."
            )
        with path.open("rb") as file:
            secret = file.read(MAX_SECRET_BYTES + 1).strip()
    except OSError as error:
        raise ConfigError(
            f'cluster.secret_file "{path}" cannot be read ({error.strerror}); copy the file of '
            "another node there, and let only root and the user that runs xmppd read it."
        ) from None
    except Writable as error:
        raise ConfigError(f"cluster.secret_file: {error}.") from None
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise ConfigError(
            f'cluster.secret_file "{path}" must have {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} '
            "bytes; create one with `openssl rand -hex 32`, and copy it to all nodes."
        )
    return secret
