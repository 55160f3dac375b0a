"""The set-up: questions, a look at what comes of the answers, and then all of it (SU-1)."""

import os
import pwd
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from xmppd.acme.not_issued import NotIssued
from xmppd.config.config import ACMESettings
from xmppd.host.data_directory import write_private
from xmppd.net.certificate import ascii_domain, make_self_signed
from xmppd.setup.answers import AnswerError, Answers, answers
from xmppd.setup.written import configuration, records, unreached

USER = "xmppd"
"""Whom the files belong to if root sets up and there is such a user, as the unit expects."""

PASSWORD_BYTES = 12

_XMPPCTL = (sys.executable, "-c", "from xmppd.ctl.main import main; main()")

_AGAIN = {
    "listen": ("listeners",),
    "domain.certificate": ("certificate", "key"),
    "domain.key": ("certificate", "key"),
    "storage": ("database",),
    "authority": ("certificate",),
}
"""What is asked again, by the key that a mistake is about."""


class NotSetUp(Exception):
    """An error: there is no server; the text is one sentence."""


@dataclass(frozen=True)
class SetupPlaces:
    """Where a set-up writes.

    Attributes:
        config: The configuration.
        data: The data directory.
    """

    config: Path
    data: Path

    @property
    def owner(self) -> tuple[int, int] | None:
        """Whom the server's files are given to; None if they stay with us."""
        if os.geteuid() != 0:
            return None
        try:
            found = pwd.getpwnam(USER)
        except KeyError:
            return None
        return found.pw_uid, found.pw_gid

    def certificate(self, domain: str) -> Path:
        """Where a certificate is that only we have signed, without ``.crt`` and ``.key``."""
        return self.config.parent / ascii_domain(domain)


def set_up(places: SetupPlaces, given: Mapping[str, str], *, ask: bool) -> None:
    """Ask what is not given, and set a server up; the configuration is written last.

    Args:
        places: Where to.
        given: Answers, by the names of questions.
        ask: Whether there is somebody to ask.

    Raises:
        NotSetUp: It is not; no configuration has been written.
    """
    if places.config.exists():
        raise NotSetUp(
            f"{places.config} already exists, and was not changed; remove it, or name another "
            "file with --config"
        )
    try:
        found = _agreed(places, dict(given), ask=ask)
        _make(places, found)
    except (AnswerError, ValueError) as error:
        raise NotSetUp(str(error).rstrip(".")) from error
    except OSError as error:
        raise NotSetUp(f"{error.filename} cannot be created ({error.strerror})") from error
    _say(f"\nDNS needs these records:\n\n{records(found)}")
    _xmppctl(places.config, "check", "dns", shown=True)
    _say(
        "\nStart the server with `systemctl enable --now xmppd` or `xmppd run --config "
        f"{places.config}`; then `xmppctl check` shows whether others can reach it.\n"
    )


def _agreed(places: SetupPlaces, given: dict[str, str], *, ask: bool) -> Answers:
    """Answers of which a server can be made; who is there to be asked has seen the file."""
    while True:
        found = answers(given, ask=ask)
        mistake = _mistake(places, found) or _refusal(found)
        if not mistake:
            break
        again = next((names for key, names in _AGAIN.items() if key in mistake), ())
        if not (ask and again):
            raise NotSetUp(mistake)
        _say(f"{mistake}.\n")
        given = {**_texts(found), **given}
        for name in again:
            given.pop(name, None)
    if warning := unreached(found):
        _say(f"{warning}.\n")
    if not _has_address(found.domain):
        _say(f"{found.domain} has no address in DNS yet, so nobody can find the server.\n")
    if ask:
        text = configuration(found, places.data, places.certificate(found.domain))
        _say(f"\n{places.config} will be:\n\n{text}\n")
        if input("Is this right? yes or no [yes] ").strip().lower() not in ("", "y", "yes"):
            raise NotSetUp("nothing was written")
    return found


def _texts(found: Answers) -> dict[str, str]:
    """The answers as they were given, so that they are not asked again."""
    doors = " ".join(f"{door.name}:{door.port}" for door in found.doors)
    return {
        "domain": found.domain,
        "admin": found.admin,
        "password": found.password,
        "listeners": doors,
        "certificate": found.certificate,
        "key": found.key,
        "contact": found.contact,
        "terms": "yes",
        "authority": found.authority,
        "authorities": found.authorities,
        "database": found.database,
    }


def _mistake(places: SetupPlaces, found: Answers) -> str:
    """What a start would refuse, port by port; empty for nothing."""
    with TemporaryDirectory(prefix="xmppd-setup-") as directory:
        own, draft = Path(directory) / "own", Path(directory) / "xmppd.toml"
        if found.certificate == "self-signed":
            make_self_signed(found.domain, own.with_suffix(".crt"), own.with_suffix(".key"))
        draft.write_text(configuration(found, places.data, own), encoding="utf-8")
        ended = _xmppctl(draft, "config", "check")
    if not ended.returncode:
        return ""
    return ended.stderr.removeprefix("xmppctl: ").replace(f"{draft}: ", "").strip().rstrip(".")


def _refusal(found: Answers) -> str:
    """Why there would be no certificate of an authority; empty for nothing."""
    if not found.acme:
        return ""
    try:
        from xmppd.acme.authority import look_at
    except ModuleNotFoundError:
        return (
            "a certificate from an authority needs xmppd[acme]; install it, or choose "
            "--certificate self-signed"
        )
    try:
        look_at(ACMESettings(directory=found.authority, authorities=found.authorities))
    except NotIssued as error:
        return (
            f"{error}; check --authority and the network of this machine, or choose --certificate "
            "self-signed"
        )
    return ""


def _has_address(domain: str) -> bool:
    try:
        return bool(socket.getaddrinfo(ascii_domain(domain), None))
    except OSError:
        return False


def _make(places: SetupPlaces, found: Answers) -> None:
    """Make the data directory and the account in it, the certificate, and the configuration."""
    places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.config.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if places.owner is not None:
        os.chown(places.data, *places.owner)
    own = places.certificate(found.domain)
    text = configuration(found, places.data, own)
    _make_account(places, found, text)
    chain, key = Path(f"{own}.crt"), Path(f"{own}.key")
    if found.certificate == "self-signed" and not key.exists():
        make_self_signed(found.domain, chain, key)
        _give(places, key, 0o640)
    draft = places.config.with_name(f".{places.config.name}")
    write_private(draft, text.encode())
    _give(places, draft, 0o640)
    try:
        os.link(draft, places.config)  # unlike a rename, it does not take the place of another
    finally:
        draft.unlink()


def _give(places: SetupPlaces, path: Path, mode: int) -> None:
    """Let the server's group read a file of root's; without a user for it, it stays private."""
    if places.owner is not None:
        os.chown(path, 0, places.owner[1])
        path.chmod(mode)


def _make_account(places: SetupPlaces, found: Answers, text: str) -> None:
    """Make the administrator's account, by a draft that the server's user may read."""
    password = found.password or secrets.token_urlsafe(PASSWORD_BYTES)
    draft = places.data / "setup.toml"
    write_private(draft, text.encode())
    try:
        if places.owner is not None:
            os.chown(draft, *places.owner)
        ended = _xmppctl(draft, "user", "add", found.admin, "--stdin", told=password, of=places)
    finally:
        draft.unlink()
    if ended.returncode == 0:
        made = "" if found.password else f"; its password is {password}"
        _say(f"created the account {found.admin}{made}\n")
    elif "already" in ended.stderr:
        _say(f"the account {found.admin} already exists, and keeps its password\n")
    else:
        why = ended.stderr.removeprefix("xmppctl: ").replace(f"{draft}: ", "")
        raise NotSetUp(f"the account {found.admin} could not be created: {why.strip().rstrip('.')}")


def _xmppctl(
    config: Path, *words: str, told: str = "", of: SetupPlaces | None = None, shown: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Give a command to xmppctl, as the server's user if its files are given to one."""
    owner = None if of is None else of.owner
    user, group = owner or (None, None)
    return subprocess.run(  # noqa: S603  # our own program
        [*_XMPPCTL, "--config", str(config), *words],
        input=told,
        capture_output=not shown,
        text=True,
        check=False,
        user=user,
        group=group,
        extra_groups=None if owner is None else [],
        cwd="/",
    )


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
