"""The page of ``man`` on the program ``xmppd`` itself, made from its options.

``python -m xmppd.manual`` writes it, and all that :mod:`xmppd.ctl.manual` writes, into the checkout
that one stands in.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from xmppd.app import command_line
from xmppd.ctl import manual

DESCRIPTION = """\
The server itself, and its set-up. systemd starts a server that runs as a service, with twistd:
see xmppd.service. xmppctl runs commands on a running server.
"""

FILES = {
    "/etc/xmppd/xmppd.toml": "The configuration, if no other is named; see xmppd.toml (5).",
    "/var/lib/xmppd": "The data directory, if the configuration names no other.",
}
STATUS = {"0": "success", "1": "failure; a sentence on standard error says why",
          "2": "unknown words or options"}  # fmt: skip


def xmppd_page() -> str:
    """xmppd(1)."""
    return manual.man_page("xmppd", 1, "an XMPP server", _parts())


def _parts() -> Iterator[str]:
    words = _words(command_line())
    yield ".SH SYNOPSIS"
    for word in words:
        yield f".B xmppd {manual.roff(word)}\n.I [option ...]\n.br"
    yield f".SH DESCRIPTION\n{manual.roff(' '.join(DESCRIPTION.split()))}"
    yield ".SH COMMANDS"
    for word, (what, parser) in words.items():
        yield manual.man_item(_usage(word, parser), f"{what[:1].upper()}{what[1:]}.")
        yield ".RS"
        for name, meaning in _options(parser):
            yield manual.man_item(name, meaning)
        yield ".RE"
    yield ".SH ENVIRONMENT"
    yield manual.man_item("XMPPD_DOMAIN, XMPPD_PASSWORD, ...", "Answers of xmppd setup, by name.")
    yield ".SH FILES"
    yield from (manual.man_item(name, what) for name, what in FILES.items())
    yield ".SH EXIT STATUS"
    yield from (manual.man_item(status, what) for status, what in STATUS.items())
    yield ".SH SEE ALSO\n.BR xmppctl (1),\n.BR xmppd.toml (5),\n.BR twistd (1)"


def _words(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """The words behind ``xmppd``: each with what it does, and its options."""
    (words,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    helped = {each.dest: each.help or "" for each in words._choices_actions}
    return {word: (helped[word], inner) for word, inner in words.choices.items()}


def _usage(word: str, parser: argparse.ArgumentParser) -> str:
    placed = [each.dest.upper() for each in parser._actions if not each.option_strings]
    return " ".join([word, *placed])


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The options of a word, but for its help, as they are written."""
    for action in parser._actions:
        if action.option_strings and action.dest != "help":
            value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
            yield f"{', '.join(action.option_strings)}{value}", action.help or ""


PAGES: Mapping[str, Callable[[], str]] = {**manual.PAGES, "etc/man/xmppd.1": xmppd_page}
"""The files that are made from what the program has, and the functions that make them."""

if __name__ == "__main__":
    manual.write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd(), PAGES)

__all__ = ["PAGES", "xmppd_page"]
