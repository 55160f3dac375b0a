"""A device comes back to its session within its login, over real TLS."""

import hmac
from xml.etree import ElementTree

from tests.integration.people import PASSWORD, ServerCase
from tests.integration.raw_client import QuickClient
from tests.integration.test_login import binding_of
from tests.unit.login.logins import LAPTOP, Answer, agent, authenticate, plain
from tests.unit.login.test_fast import request_token
from tests.unit.login.test_inline_resumption import (
    CARBONS,
    ENABLE,
    INACTIVE,
    SM,
    bind,
    message,
    resume,
)
from xmppd.login.fast import NS as FAST

MECHANISM = "HT-SHA-256-EXPR"


class InlineResumptionTests(ServerCase):
    """Romeo's phone has a token and a session; Juliet writes to it."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.account("romeo")
        self.name = self.address.partition("@")[0]
        phone = self.client()
        answer = self.log_in(
            phone, bind(ENABLE, CARBONS, INACTIVE), request_token(MECHANISM), agent=agent()
        )
        self.jid = answer.identifier
        enabled = answer["success"].find(f".//{{{SM}}}enabled")
        token = answer["success"].find(f"{{{FAST}}}token")
        assert enabled is not None
        assert token is not None
        self.previd, self.token = enabled.get("id", ""), token.get("token", "")
        phone.send(b"<presence/>")
        phone.until(b"<presence")
        self.phone = phone
        self.juliet = self.client()
        juliet = self.account("juliet")
        self.log_in(self.juliet, bind(), name=juliet.partition("@")[0], agent=agent(LAPTOP))

    def client(self) -> QuickClient:
        """Somebody whose handshake is done."""
        client = QuickClient(self.server)
        self.addCleanup(client.close)
        return client

    def log_in(self, client: QuickClient, *inline: str, name: str = "", agent: str) -> Answer:
        """Log in with the password."""
        login = authenticate(plain(name or self.name, PASSWORD), *inline, agent=agent)
        client.send(client.header + login.encode())
        return Answer(client.until(b"</success>") + client.until(b"</stream:features>"))

    def come_back(self, *inline: str, count: int = 1) -> tuple[QuickClient, Answer]:
        """Header and login by the token as one record; what is answered.

        No features follow what was resumed (XEP-0198 §9.2).
        """
        client = self.client()
        data = b"Initiator" + binding_of(client.tls, "tls-exporter")
        proof = hmac.digest(self.token.encode(), data, "sha256")
        login = authenticate(
            f"{self.name}\0".encode() + proof,
            f"<fast xmlns='{FAST}' count='{count}'/>",
            *inline,
            mechanism=MECHANISM,
            agent=agent(device="new phone"),
        )
        client.send(client.header + login.encode())
        answer = client.until(b"</success>")
        if b"<resumed " not in answer:
            answer += client.until(b"</stream:features>")
        return client, Answer(answer)

    def say(self, text: str) -> None:
        """Juliet says something, and it has been handled."""
        self.juliet.send(message(text, self.jid).encode())
        self.juliet.send(b"<iq type='get' id='s'><query xmlns='jabber:iq:roster'/></iq>")
        self.juliet.until(b"</iq>")

    def sessions(self) -> list[tuple[object, ...]]:
        """What an administrator sees of Romeo."""
        rows = self.server.tell("session list", account=self.address)
        return [
            (row["jid"], row["state"], row["mechanism"], row["device"])
            for row in rows
            if isinstance(row, dict)
        ]

    def test_one_round_trip(self) -> None:
        """Token and session in one record: online, and what was missed follows behind."""
        self.assertEqual(self.sessions(), [(self.jid, "connected", "PLAIN", "phone")])
        self.phone.close()
        self.say("Art thou gone so?")
        self.assertEqual([state for _, state, *_ in self.sessions()], ["detached"])
        phone, answer = self.come_back(bind(), resume(self.previd))
        self.assertEqual(answer.names, ["features", "success"])
        self.assertEqual(answer.identifier, self.jid)
        self.assertIsNotNone(answer["success"].find(f"{{{SM}}}resumed"))
        self.assertEqual(phone.until(b"</message>").count(b"Art thou gone so?"), 1)
        self.assertEqual(self.sessions(), [(self.jid, "connected", MECHANISM, "new phone")])

    def test_old_wire_seems_alive(self) -> None:
        """The old wire need not be known to be dead: it is told, and the session goes on."""
        self.say("Wilt thou be gone?")
        phone, answer = self.come_back(resume(self.previd))
        self.assertEqual(answer.identifier, self.jid)
        self.assertIn(b"Wilt thou be gone?", phone.until(b"</message>"))
        self.assertIn(b"<conflict ", self.phone.until(b"</stream:stream>"))

    def test_failed(self) -> None:
        """A session that has ended: what was handled is told, and a new one begins at once. Of an
        account that is nowhere any more no other node is asked.
        """
        self.phone.send(message("Adieu!", self.address).encode() + b"</stream:stream>")
        self.phone.until(b"</stream:stream>")
        _, answer = self.come_back(bind(ENABLE), resume(self.previd))
        failed = answer["success"].find(f"{{{SM}}}failed")
        assert failed is not None, ElementTree.tostring(answer["success"])
        self.assertEqual(failed.get("h"), None if self.is_spread else "2")
        self.assertIsNotNone(answer["success"].find(f".//{{{SM}}}enabled"))
