"""A node that may not do everything that it needs is told which right it lacks, at the start."""

import re
from pathlib import Path

from tests.unit.cluster.redis_case import RedisCase
from xmppd.cluster import redis_scripts
from xmppd.cluster.redis_rights import PROBES, check_rights

SOURCE = Path(redis_scripts.__file__).parent


class RightsTests(RedisCase):
    async def test_all(self) -> None:
        """Whoever may do everything with keys of this cluster has all rights; nothing is left."""
        server = self.server(users=("alice on >secret ~one:* &one:* +@all",))
        redis = await self.open(server.url.replace("unix://", "unix://alice:secret@"))
        await check_rights(redis, "one")
        self.assertEqual(server.ask("KEYS", "*"), [])

    async def test_missing(self) -> None:
        """Each command that is not granted is named, and so are keys and channels."""
        for rights, sentence in (
            ("~one:* &one:* +@all -zadd", "grant +zadd"),
            ("~one:* &one:* +@all -xread", "grant +xread"),
            ("~one:* &one:* +@all -evalsha", "grant +evalsha"),
            ("~one:* &one:* +@all -publish", "grant +publish"),
            ("~two:* &one:* +@all", "grant ~NAME:*"),
            ("~one:* &two:* +@all", "grant &NAME:*"),
        ):
            with self.subTest(rights):
                server = self.server(users=(f"alice on >secret {rights}",))
                redis = await self.open(server.url.replace("unix://", "unix://alice:secret@"))
                self.assertIn(sentence, await self.refusal(check_rights(redis, "one")))

    def test_every_command(self) -> None:
        """Each command that our scripts and modules use is tried."""
        used = set[str]()
        for path in SOURCE.glob("redis*.py"):
            text = path.read_text(encoding="utf-8")
            used |= set(re.findall(r"redis\.call\('([A-Z]+)'", text))
            used |= set(re.findall(r"""execute\(\s*"([A-Z]+)",""", text))
        tried = {words[0] for words in PROBES}
        at_greeting = {"AUTH", "SELECT", "INFO", "SENTINEL", "SUBSCRIBE"}
        self.assertEqual(used - tried - at_greeting, set())
        self.assertGreater(len(used), 20)
