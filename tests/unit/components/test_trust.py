"""Components that the administrator trusts: XEP-0355 and XEP-0356."""

import re

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing import House, Service, house_config

PEP, SECRET = "pep.montague.lit", "wherefore"
FORWARDED = "<forwarded xmlns='urn:xmpp:forward:0'>"


def trusting_house(**trust: object) -> House:
    """A house with people and one trusted component."""
    component = [{"name": PEP, "secret": SECRET, **trust}]
    return House(
        config=house_config("montague.lit", component=component),
        plugins=("disco",),
        romeo={"juliet": "both"},
        juliet={"romeo": "both"},
    )


def enter(house: House) -> tuple[Service, str]:
    """The component comes in; and what it is told."""
    service = house.service(PEP)
    service.shake_hands(SECRET)
    return service, service.raw().decode().removeprefix("<handshake/>")


class DelegationTests(SynchronousTestCase):
    """A namespace that the component answers for (CO-13)."""

    def setUp(self) -> None:
        self.house = trusting_house(delegate=["urn:pep", "urn:mam node"])
        self.service, self.told = enter(self.house)
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def ask(self, query: str = "<q xmlns='urn:pep'/>", to: str = "") -> str:
        """Romeo asks; what the component gets of it."""
        written = f" to='{to}'" if to else ""
        self.romeo.send(f"<iq type='get' id='7'{written}>{query}</iq>")
        return self.service.raw().decode()

    def answer(self, asked: str, inner: str, kind: str = "result") -> str:
        """The component answers; what Romeo gets of it."""
        (id,) = re.findall(r"^<iq [^>]*\bid='([^']*)'", asked)
        self.service.send(
            f"<iq from='{PEP}' to='montague.lit' type='{kind}' id='{id}'>"
            f"<delegation xmlns='urn:xmpp:delegation:2'>{FORWARDED}{inner}</forwarded>"
            "</delegation></iq>"
        )
        return "".join(self.romeo.received())

    def test_announced(self) -> None:
        """The component is told which namespaces are its own."""
        self.assertIn("<delegated namespace='urn:pep'></delegated>", self.told)
        self.assertIn("<attribute name='node'/>", self.told)

    def test_there_and_back(self) -> None:
        """A request is handed over, and answered as if by the server."""
        asked = self.ask()
        self.assertIn(f"{FORWARDED}<iq xmlns='jabber:client' from='romeo@montague.lit/1'", asked)
        inner = (
            "<iq xmlns='jabber:client' to='romeo@montague.lit/1' type='result' id='7'>"
            "<q xmlns='urn:pep'>peace</q></iq>"
        )
        heard = self.answer(asked, inner)
        self.assertEqual(
            heard,
            "<iq from='romeo@montague.lit' to='romeo@montague.lit/1' type='result' id='7'>"
            "<q xmlns='urn:pep'>peace</q></iq>",
        )

    def test_to_whom(self) -> None:
        """It is the server and bare JIDs that are asked; sessions and strangers are not."""
        for to in ("montague.lit", "romeo@montague.lit", "juliet@montague.lit"):
            self.assertIn("urn:xmpp:delegation:2", self.ask(to=to))
        for to in ("juliet@montague.lit/1", "nobody@montague.lit", PEP):
            self.assertNotIn("urn:xmpp:delegation:2", self.ask(to=to))

    def test_attributes(self) -> None:
        """Without the attribute the server answers."""
        self.assertEqual(self.ask("<q xmlns='urn:mam'/>"), "")
        self.assertIn("<service-unavailable ", self.romeo.received()[0])
        self.assertIn("urn:mam", self.ask("<q xmlns='urn:mam' node='n'/>"))

    def test_wrong_answers(self) -> None:
        """What does not answer that request is not passed on."""
        right = "<iq xmlns='jabber:client' to='romeo@montague.lit/1' type='result' id='7'/>"
        for wrong in (
            right.replace("id='7'", "id='8'"),
            right.replace("romeo", "juliet"),
            right.replace("result", "set"),
            right.replace(" to=", " from='juliet@montague.lit' to="),
            right.replace("jabber:client", "other"),
            "",
        ):
            with self.subTest(wrong):
                self.assertIn("<service-unavailable ", self.answer(self.ask(), wrong))
        self.assertIn("<service-unavailable ", self.answer(self.ask(), right, "error"))
        self.assertEqual(self.juliet.received(), [])

    def test_no_answer(self) -> None:
        """Whoever waits too long, or for nobody, is told; their other stanzas do not wait."""
        self.ask()
        self.romeo.send("<message to='juliet@montague.lit'><body>hi</body></message>")
        self.assertEqual(len(self.juliet.received()), 1)
        self.house.clock.advance(31)
        self.assertIn("<service-unavailable ", self.romeo.received()[0])
        self.service.lose()
        self.romeo.send("<iq type='get' id='7'><q xmlns='urn:pep'/></iq>")
        self.assertIn("<service-unavailable ", self.romeo.received()[0])

    def test_own_requests(self) -> None:
        """What the component itself asks is answered by the server."""
        self.service.send(
            f"<iq from='{PEP}' to='montague.lit' type='get' id='1'><q xmlns='urn:pep'/></iq>"
        )
        self.assertIn("<service-unavailable ", self.service.raw().decode())


class PrivilegeTests(SynchronousTestCase):
    """What a component may do in others' names (CO-14)."""

    def message(self, service: Service, sender: str, to: str = "juliet@montague.lit") -> str:
        service.send(
            f"<message from='{PEP}' to='montague.lit' id='n'>"
            f"<privilege xmlns='urn:xmpp:privilege:2'>{FORWARDED}"
            f"<message xmlns='jabber:client' from='{sender}' to='{to}'><body>hi</body></message>"
            "</forwarded></privilege></message>"
        )
        return service.raw().decode()

    def roster(self, service: Service, kind: str, inner: str = "") -> str:
        service.send(
            f"<iq from='{PEP}' to='romeo@montague.lit' type='{kind}' id='r'>"
            f"<query xmlns='jabber:iq:roster'>{inner}</query></iq>"
        )
        return service.raw().decode()

    def test_announced(self) -> None:
        """The component is told what it may do, and of nothing if that is nothing."""
        _, told = enter(trusting_house(roster="both", message="outgoing"))
        self.assertIn("<perm access='roster' type='both'/>", told)
        self.assertIn("<perm access='message' type='outgoing'/>", told)
        self.assertNotIn("presence' type", told)
        self.assertEqual(enter(trusting_house())[1], "")

    def test_messages(self) -> None:
        """It speaks in the name of accounts here, and of nobody else."""
        house = trusting_house(message="outgoing")
        service, _ = enter(house)
        (juliet,) = house.connect("juliet")
        self.assertEqual(self.message(service, "romeo@montague.lit"), "")
        (heard,) = juliet.received()
        self.assertIn("from='romeo@montague.lit'", heard)
        self.assertIn("<body>hi</body>", heard)
        for sender in ("romeo@montague.lit/1", "x@evil.example", PEP, "", "a..b"):
            with self.subTest(sender):
                self.assertIn("<forbidden ", self.message(service, sender))
        self.assertEqual(juliet.received(), [])

    def test_rosters(self) -> None:
        """It reads and changes rosters, and is told of changes."""
        house = trusting_house(roster="both")
        service, _ = enter(house)
        self.assertIn("<item jid='juliet@montague.lit'", self.roster(service, "get"))
        told = self.roster(service, "set", "<item jid='nurse@montague.lit' name='Nurse'/>")
        self.assertIn("type='result'", told)
        self.assertIn("from='romeo@montague.lit' to='pep.montague.lit' type='set'", told)
        self.assertIn("name='Nurse'", self.roster(service, "get"))

    def test_presence(self) -> None:
        """It is told who is here, who comes and who goes."""
        house = trusting_house(presence="managed_entity")
        (romeo,) = house.connect("romeo")
        service, told = enter(house)
        self.assertIn("<presence from='romeo@montague.lit/1'", told)
        (juliet,) = house.connect("juliet")
        self.assertIn("<presence from='juliet@montague.lit/1'", service.raw().decode())
        juliet.send("<presence><show>away</show></presence>")
        self.assertEqual(service.raw(), b"")
        romeo.lose()
        self.assertIn("type='unavailable'", service.raw().decode())

    def test_not_granted(self) -> None:
        """What is not granted is forbidden."""
        house = trusting_house(presence="managed_entity")
        service, _ = enter(house)
        self.assertIn("<forbidden ", self.message(service, "romeo@montague.lit"))
        for kind in ("get", "set"):
            self.assertIn("<forbidden ", self.roster(service, kind, "<item jid='a@b.lit'/>"))
        service, _ = enter(reading := trusting_house(roster="get"))
        self.assertIn("<forbidden ", self.roster(service, "set", "<item jid='a@b.lit'/>"))
        self.assertIn("type='result'", self.roster(service, "get"))
        reading.stop()
