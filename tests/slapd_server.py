"""OpenLDAP's server, Debian's slapd, in a process of its own, with people that a test wants."""

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from os import environ
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

from tests.ports import HOST, free_port
from xmppd.testing.signing_authority import SigningAuthority

PATIENCE_S = 60.0
BASE = "dc=verona,dc=lit"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
READER, READER_PASSWORD = f"cn=reader,{BASE}", "looks only"
MAX_FOUND = 100
"""Who searches without pages is given no more."""

_PATH = f"{environ.get('PATH', '')}:/usr/sbin"

_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {directory}/slapd.pid
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
# As some directories are: a name without a password is let in, as nobody.
allow bind_anon_dn
sizelimit size.soft={max_found} size.hard={max_found} size.prtotal=unlimited
database mdb
suffix "{base}"
directory {directory}/data
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


class SlapdProcess:
    """A directory at ports of the loopback, from :meth:`start` to :meth:`stop`.

    Args:
        people: Passwords by name.
        groups: The names of members, by the group's name.
        name: Whom its certificate is for.

    Attributes:
        directory: Its own.
        authority: Signs its certificate.
        port: Where it speaks LDAP, with StartTLS for who wants it.
        tls_port: Where it speaks LDAP in TLS.
    """

    def __init__(
        self,
        people: Mapping[str, str],
        groups: Mapping[str, Sequence[str]] | None = None,
        *,
        name: str = "localhost",
    ) -> None:
        if shutil.which("slapd", path=_PATH) is None:
            raise AssertionError("slapd is not installed: apt-get install slapd ldap-utils")
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-slapd-", dir="/tmp"))
        (self.directory / "data").mkdir()
        self.authority = SigningAuthority(self.directory)
        certificate, key = self.authority.issue(name)
        self.port, self.tls_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._config = self.directory / "slapd.conf"
        self._config.write_text(
            _CONFIG.format(
                directory=self.directory, authority=self.authority.file, certificate=certificate,
                key=key, base=BASE, reader=READER, max_found=MAX_FOUND,
            ),
            encoding="utf-8",
        )  # fmt: skip
        entries = [
            _entry(BASE, objectClass=["dcObject", "organization"], dc=["verona"], o=["Verona"]),
            _entry(READER, objectClass=["person"], sn=["r"], userPassword=[READER_PASSWORD]),
            _entry(PEOPLE, objectClass=["organizationalUnit"]),
            _entry(GROUPS, objectClass=["organizationalUnit"]),
        ]
        entries += [person(each, password) for each, password in people.items()]
        entries += [group(each, members) for each, members in (groups or {}).items()]
        self._run("slapadd", "-q", "-f", str(self._config), input="\n".join(entries))

    @property
    def socket_url(self) -> str:
        """Its URL on this machine."""
        return f"ldapi://{quote(str(self.directory / 'socket'), safe='')}"

    @property
    def reader_file(self) -> Path:
        """The file with the password of who looks for people."""
        file = self.directory / "reader"
        file.write_text(READER_PASSWORD + "\n", encoding="utf-8")
        return file

    def start(self) -> None:
        """Have it answer, at the same ports as before."""
        urls = f"ldap://{HOST}:{self.port}/ ldaps://{HOST}:{self.tls_port}/ {self.socket_url}"
        self.process = subprocess.Popen(
            ["slapd", "-d", "0", "-f", str(self._config), "-h", urls],
            env={**environ, "PATH": _PATH},
            stdout=subprocess.DEVNULL,
            stderr=(self.directory / "log").open("ab"),
        )
        until = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError((self.directory / "log").read_text(encoding="utf-8"))
            time.sleep(0.02)

    def _answers(self) -> bool:
        command = ["ldapwhoami", "-x", "-H", self.socket_url]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def pause(self) -> None:
        """Have it answer nothing, with all connections as they are, until it is resumed or ends."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it; what it has it keeps."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(PATIENCE_S)

    def remove(self) -> None:
        """End it, and forget all."""
        self.stop()
        shutil.rmtree(self.directory)

    def change(self, text: str) -> None:
        """Change entries, as LDIF says, while it is stopped."""
        self._run("slapmodify", "-f", str(self._config), input=text)

    def _run(self, *command: str, input: str) -> None:
        ended = subprocess.run(
            command, input=input, text=True, capture_output=True, check=False,
            env={**environ, "PATH": _PATH},
        )  # fmt: skip
        if ended.returncode != 0:
            raise AssertionError(ended.stdout + ended.stderr)


def person(name: str, password: str) -> str:
    """The entry of somebody."""
    return _entry(
        f"uid={name},{PEOPLE}",
        objectClass=["inetOrgPerson"],
        cn=[name],
        sn=[name],
        mail=[f"{name}@verona.lit"],
        userPassword=[password],
    )


def group(name: str, members: Sequence[str]) -> str:
    """The entry of a group, which writes the names of its members a little differently."""
    return _entry(
        f"cn={name},{GROUPS}",
        objectClass=["groupOfNames"],
        member=[f"UID={each}, {PEOPLE}" for each in members],
    )


def _entry(dn: str, **attributes: list[str]) -> str:
    lines = [f"dn: {dn}"]
    lines += [f"{name}: {value}" for name, values in attributes.items() for value in values]
    return "\n".join(lines) + "\n"


__all__ = ["BASE", "GROUPS", "MAX_FOUND", "PEOPLE", "READER", "SlapdProcess", "group", "person"]
