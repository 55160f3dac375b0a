"""The table ``[auth_ldap]`` of the configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from xmppd.config.section import Mark, Section

HERE = ("127.0.0.1", "::1", "localhost")


class AuthLDAPSettings(Section, frozen=True):
    """``[auth_ldap]``: the directory that knows people of domains with ``auth = ["ldap"]``.

    Attributes:
        servers: Their URLs, in the order in which they are asked: ``ldaps://``, ``ldap://`` for
            StartTLS, ``ldapi://`` for a socket on this machine.
        tls: Whether ``ldap://`` is StartTLS; without it, a server has to be on this machine.
        authorities: The absolute path of who signs their certificates; empty for those that this
            machine trusts.
        bind_dn: Who looks for people; empty for nobody in particular.
        secret_file: The absolute path of the password of that.
        base: Below this entry people are.
        name_attribute: The attribute that has the name of an account.
        name: What is there: the part before the @, or the whole address.
        having: Attributes that people have as well, with their values; ``*`` for any.
        timeout_s: A server has to answer a question within this time.
        refusal_s: A refusal comes so long after its question, or a multiple of that.
        group_base: Below this entry groups are that become shared groups; empty for none.
        group_name_attribute: The attribute that has a group's name.
        member_attribute: The attribute that has its members.
        member: What is there: the entry of a member (its DN), or the name of the account.
        group_having: Attributes that groups have as well.
        groups_every_s: The time from one look at groups to the next.
        max_groups: With more, none is taken over.
        max_group_people: With more people in the directory, none is taken over.
    """

    servers: tuple[str, ...] = ()
    tls: bool = True
    authorities: str = ""
    bind_dn: str = ""
    secret_file: str = ""
    base: str = ""
    name_attribute: str = "uid"
    name: Literal["user", "address"] = "user"
    having: dict[str, str] = {}
    timeout_s: float = 5.0
    refusal_s: Annotated[float, Mark.MAY_BE_ZERO] = 0.5
    group_base: str = ""
    group_name_attribute: str = "cn"
    member_attribute: str = "member"
    member: Literal["entry", "name"] = "entry"
    group_having: dict[str, str] = {}
    groups_every_s: float = 900.0
    max_groups: int = 1_000
    max_group_people: int = 100_000

    def __post_init__(self) -> None:
        if not self.servers:
            raise ValueError(
                'servers is empty; name one, such as ["ldaps://directory.example.org"]'
            )
        for url in self.servers:
            self._check_server(url)
        for path in (self.secret_file, self.authorities):
            if path and not Path(path).is_absolute():
                raise ValueError(f"{path} must be an absolute path")
        if bool(self.bind_dn) != bool(self.secret_file):
            raise ValueError("bind_dn and secret_file go together: set both, or neither")
        for key in ("base", "bind_dn", "group_base"):
            value = getattr(self, key)
            if "=" not in value and (value or key == "base"):
                raise ValueError(
                    f'{key} must be the name of an entry, such as "ou=people,dc=example,dc=org"'
                )

    def _check_server(self, url: str) -> None:
        try:
            server = LDAPServer.of(url)
        except ValueError as error:
            raise ValueError(f'servers has "{url}": {error}') from error
        if not server.is_here and server.kind == "ldap" and not self.tls:
            raise ValueError(
                f'tls = false would send passwords to "{url}" unencrypted; remove it, or use '
                "ldaps://"
            )


@dataclass(frozen=True)
class LDAPServer:
    """One server of a directory, as its URL says (:rfc:`4516`).

    Attributes:
        url: The whole.
        kind: ``ldap``, ``ldaps`` or ``ldapi``.
        host: Its name; empty for a socket.
        port: Where it listens.
        path: That of a socket.
    """

    url: str
    kind: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def of(cls, url: str) -> "LDAPServer":
        """The server of this URL.

        Raises:
            ValueError: It is none.
        """
        parts = urlsplit(url)
        if parts.scheme == "ldapi" and parts.netloc:
            return cls(url, "ldapi", path=unquote(parts.netloc))
        if parts.scheme not in ("ldap", "ldaps") or not parts.hostname:
            raise ValueError(
                "write it as ldaps://HOST, ldap://HOST or ldapi://%2Fpath%2Fof%2Fsocket"
            )
        if parts.path.strip("/") or parts.query:
            raise ValueError("the URL ends after the host; use options such as base instead")
        port = parts.port or (636 if parts.scheme == "ldaps" else 389)
        return cls(url, parts.scheme, parts.hostname, port)

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return self.kind == "ldapi" or self.host in HERE


__all__ = ["AuthLDAPSettings", "LDAPServer"]
