"""What a set-up writes and says: the configuration, and records for DNS."""

import json
from pathlib import Path

from xmppd.net.certificate import ascii_domain
from xmppd.setup.answers import LETS_ENCRYPT, Answers
from xmppd.setup.doors import DOORS, HERE, SERVICES, SetupDoor

TTL_S = 3_600


def configuration(answers: Answers, data: Path, own: Path) -> str:
    """The configuration, in TOML.

    Args:
        answers: What was answered.
        data: The data directory.
        own: Where a certificate is that only we have signed: without ``.crt`` and ``.key``.
    """
    parts = [
        "# Written by xmppd setup. The manual lists all other options, with their defaults.",
        f"data = {_quoted(data)}\nadmins = [{_quoted(answers.admin)}]",
        f"[[domain]]\nname = {_quoted(answers.domain)}\n{_certificate(answers, own)}",
    ]
    parts += [_listener(door) for door in answers.doors]
    if not any(door.name.startswith("servers") for door in answers.doors):
        parts.append("# No other server could connect.\n[s2s]\nenabled = false")
    if answers.acme:
        parts.append(_authority(answers))
    parts.append(f"[storage]\nurl = {_quoted(answers.database)}")
    return "\n\n".join(parts) + "\n"


def _listener(door: SetupDoor) -> str:
    interface = ":interface=127.0.0.1" if door.name in HERE else ""
    return f'[[listen]]\nendpoint = "epoll:{door.port}{interface}"\n{DOORS[door.name][1]}'


def _certificate(answers: Answers, own: Path) -> str:
    if answers.acme:
        return "acme = true"
    if answers.certificate == "self-signed":
        return f"certificate = {_quoted(f'{own}.crt')}\nkey = {_quoted(f'{own}.key')}"
    key = f"\nkey = {_quoted(answers.key)}" if answers.key else ""
    return f"certificate = {_quoted(answers.certificate)}{key}"


def _authority(answers: Answers) -> str:
    lines = ["[acme]", "terms_agreed = true"]
    if answers.contact:
        lines.append(f"contact = [{_quoted(f'mailto:{answers.contact}')}]")
    if answers.authority != LETS_ENCRYPT:
        lines.append(f"directory = {_quoted(answers.authority)}")
    if answers.authorities:
        lines.append(f"authorities = {_quoted(answers.authorities)}")
    return "\n".join(lines)


def _quoted(text: object) -> str:
    """A string of TOML: JSON's, which is one as well."""
    return json.dumps(str(text), ensure_ascii=False)


def records(answers: Answers) -> str:
    """The records that DNS should have, as in a zone file."""
    host = f"{ascii_domain(answers.domain)}."
    lines = [f"{host} {TTL_S} IN A     (this machine's address; AAAA for IPv6)"]
    for door in answers.doors:
        service = SERVICES.get(door.name)
        if service is not None:
            lines.append(f"{service}._tcp.{host} {TTL_S} IN SRV 0 5 {door.port} {host}")
    names = ["conference", "pubsub", "upload"]
    lines += [f"{name}.{host} {TTL_S} IN CNAME {host}" for name in names]
    return "\n".join(lines) + "\n"


def unreached(found: Answers) -> str:
    """Why an authority does not reach the listener that answers it, unless something forwards its
    port; empty if it does.
    """
    named = {door.name: door for door in found.doors}
    door = named.get("acme", named.get("web"))
    if not found.acme or door is None or door.port == DOORS[door.name][0]:
        return ""
    usual = DOORS[door.name][0]
    return (
        f"the certificate authority connects to port {usual} of {found.domain}, but the listener "
        f"{door.name} has port {door.port}: forward port {usual} to it, or choose "
        f"{door.name}:{usual}"
    )
