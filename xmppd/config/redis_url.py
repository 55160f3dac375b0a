"""RedisURL: where a Redis, or a Sentinel, is reached, and as whom."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

REDIS_PORT = 6379
SENTINEL_PORT = 26_379
MAX_PATH_BYTES = 107


@dataclass(frozen=True, slots=True)
class RedisURL:
    """A URL such as ``rediss://xmppd:password@db.example.org:6380/1``, or
    ``unix://xmppd:password@/run/redis/redis.sock``.

    Attributes:
        host: A name or an IP address; with Sentinel the name of a master. Empty if there is a path.
        port: Its port.
        user: Of its access list; empty for the default user.
        password: Empty for none.
        database: Its number.
        tls: Whether it is spoken to by TLS.
        path: Of its socket on this machine.
    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: bool = False
    path: str = ""

    def __str__(self) -> str:
        """The URL without user and password, for people to read."""
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = f"/{self.database}" if self.database else ""
        return f"redis{'s' if self.tls else ''}://{host}:{self.port}{path}"

    @classmethod
    def parse(cls, text: str, port: int = REDIS_PORT) -> "RedisURL":
        """The URL in a text.

        Args:
            text: As it stands in the file.
            port: If it names none.

        Raises:
            ValueError: It is none.
        """
        parts = urlsplit(text)
        database = parts.path.removeprefix("/")
        if parts.scheme == "unix":
            return cls._of_socket(parts)
        if parts.scheme not in ("redis", "rediss"):
            raise ValueError("a Redis URL begins with redis://, rediss:// or unix://")
        try:
            port = parts.port or port
        except ValueError:  # which may quote a password
            raise ValueError("the port is not a number; in a password write / as %2F") from None
        if not parts.hostname:
            raise ValueError("the URL has no host")
        if parts.query or parts.fragment:
            raise ValueError("nothing may follow the database number")
        if database and not (database.isascii() and database.isdecimal()):
            raise ValueError("only a database number may follow the host")
        # Python has it in small letters, and the name of a master may have others.
        place = parts.netloc.rpartition("@")[2]
        host = parts.hostname if place.startswith("[") else place.partition(":")[0]
        return cls(
            host,
            port,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            int(database or 0),
            parts.scheme == "rediss",
        )

    @classmethod
    def _of_socket(cls, parts: SplitResult) -> "RedisURL":
        if parts.hostname or not parts.path or parts.query or parts.fragment:
            raise ValueError("only the path of a socket may follow unix://")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        path = unquote(parts.path)
        if len(path.encode()) > MAX_PATH_BYTES:
            raise ValueError(f"the path of a socket may have at most {MAX_PATH_BYTES} bytes")
        return cls("", 0, user, password, path=path)


__all__ = ["REDIS_PORT", "SENTINEL_PORT", "RedisURL"]
