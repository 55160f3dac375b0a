"""How a plugin reaches a service outside: by whose certificate, and with which secret."""

from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from xmppd.net.http_caller import HTTPCaller
from xmppd.plugin.plugin_error import PluginError


def caller_trusting(
    plugin: str, authorities: str, clock: IReactorTime, timeout_s: float
) -> HTTPCaller:
    """A caller for a service of a plugin.

    Args:
        plugin: Its name; its table has an option ``authorities``.
        authorities: That option: the file of who signs the service's certificate; empty for those
            that this machine trusts.
        clock: The reactor.
        timeout_s: An answer has to be whole within this time.

    Raises:
        PluginError: There is something wrong with the file.
    """
    try:
        return HTTPCaller.trusting(authorities, clock, timeout_s)
    except ValueError as error:
        raise PluginError(f"{plugin}.authorities: {error}") from error


def secret_in(plugin: str, file: str) -> str:
    """The secret by which a service knows a plugin, without white space around it.

    Args:
        plugin: Its name; its table has an option ``secret_file``.
        file: That option; empty for no secret.

    Raises:
        PluginError: It cannot be read.
    """
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{plugin}.secret_file {file} cannot be read ({error})") from error


__all__ = ["caller_trusting", "secret_in"]
