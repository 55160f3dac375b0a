"""Components that the administrator trusts: XEP-0355 and XEP-0356."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_blocking import command
from tests.plugins.test_invisible import invisible, visible
from xmppd.components.privileges import TOLD_PER_TURN
from xmppd.privacy.privacy_list import PrivacyList
from xmppd.stanza import JID
from xmppd.store.accounts import Credentials
from xmppd.testing.client import Client, ComponentClient, done
from xmppd.testing.house import House, house_config

ROMEO = JID.parse("romeo@montague.lit")
PEP, SECRET = "pep.montague.lit", "wherefore"
LAST, ITEMS = "jabber:iq:last", "http://jabber.org/protocol/disco#items"
FORWARDED = "<forwarded xmlns='urn:xmpp:forward:0'>"


def trusting_house(*, plugins: Sequence[str] = (), **trust: object) -> House:
    """A house with people and one trusted component."""
    component = [{"name": PEP, "secret": SECRET, **trust}]
    return House(
        config=house_config("montague.lit", component=component),
        plugins=tuple(dict.fromkeys(("disco", "blocking", *plugins))),
        romeo={"juliet": "both"},
        juliet={"romeo": "both"},
    )


def privacy_list(rules: str) -> PrivacyList:
    """One with these rules."""
    return PrivacyList.from_tree(
        ElementTree.fromstring(f"<list xmlns='jabber:iq:privacy' name='l'>{rules}</list>")
    )


def enter(house: House) -> tuple[ComponentClient, str]:
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
        self.service.abort()
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

    def message(
        self,
        service: ComponentClient,
        sender: str,
        to: str = "juliet@montague.lit",
        inside: str = "<body>hi</body>",
    ) -> str:
        service.send(
            f"<message from='{PEP}' to='montague.lit' id='n'>"
            f"<privilege xmlns='urn:xmpp:privilege:2'>{FORWARDED}"
            f"<message xmlns='jabber:client' from='{sender}' to='{to}'>{inside}</message>"
            "</forwarded></privilege></message>"
        )
        return service.raw().decode()

    def roster(self, service: ComponentClient, kind: str, inner: str = "") -> str:
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
        for sender in (
            "romeo@montague.lit/1",
            "x@evil.example",
            PEP,
            f"romeo@{PEP}",
            "montague.lit",
            "montague.lit/1",
            "nobody@montague.lit",
            "",
            "a..b",
        ):
            with self.subTest(sender):
                self.assertIn("<forbidden ", self.message(service, sender))
        self.assertEqual(juliet.received(), [])

    def test_closed_account(self) -> None:
        """It does not speak for somebody whose account is closed."""
        house = trusting_house(message="outgoing")
        service, _ = enter(house)
        (juliet,) = house.connect("juliet")
        done(house.store.accounts.set_disabled("romeo@montague.lit", disabled=True))
        self.assertIn("<forbidden ", self.message(service, "romeo@montague.lit"))
        self.assertEqual(juliet.received(), [])

    def test_envelopes(self) -> None:
        """What only a server writes nobody else writes in an account's name."""
        house = trusting_house(message="outgoing")
        service, _ = enter(house)
        (juliet,) = house.connect("juliet")
        said = f"{FORWARDED}<message xmlns='jabber:client' from='romeo@montague.lit'/></forwarded>"
        for inside in (
            f"<received xmlns='urn:xmpp:carbons:2'>{said}</received>",
            f"<sent xmlns='urn:xmpp:carbons:2'>{said}</sent>",
            f"<body>hi</body><sent xmlns='urn:xmpp:carbons:2'>{said}</sent>",
            f"<result xmlns='urn:xmpp:mam:2' id='1'>{said}</result>",
            f"<result xmlns='urn:xmpp:mam:1' id='1'>{said}</result>",
            f"<privilege xmlns='urn:xmpp:privilege:2'>{said}</privilege>",
            f"<delegation xmlns='urn:xmpp:delegation:2'>{said}</delegation>",
            "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='montague.lit'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='juliet@montague.lit'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>",
            "<r xmlns='urn:xmpp:sm:3'/>",
        ):
            for to in ("juliet@montague.lit", "juliet@montague.lit/1"):
                for sender in ("juliet@montague.lit", "romeo@montague.lit"):
                    with self.subTest(inside, to=to, sender=sender):
                        answer = self.message(service, sender, to, inside)
                        self.assertIn("<forbidden ", answer)
        self.assertEqual(juliet.received(), [])
        for inside in (
            "<private xmlns='urn:xmpp:carbons:2'/>",
            "<event xmlns='http://jabber.org/protocol/pubsub#event'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='room@elsewhere.lit'/>",
            said,
        ):
            with self.subTest(inside):
                self.assertEqual(self.message(service, "romeo@montague.lit", inside=inside), "")
                self.assertEqual(len(juliet.received()), 1)

    def test_one_at_a_time(self) -> None:
        """An envelope with two messages, or none, holds nothing that could be sent."""
        house = trusting_house(message="outgoing")
        service, _ = enter(house)
        (juliet,) = house.connect("juliet")
        one = (
            f"{FORWARDED}<message xmlns='jabber:client' from='romeo@montague.lit'"
            " to='juliet@montague.lit'/></forwarded>"
        )
        for inside in ("", one * 2, "<forwarded xmlns='urn:xmpp:forward:0'/>"):
            service.send(
                f"<message from='{PEP}' to='montague.lit' id='n'>"
                f"<privilege xmlns='urn:xmpp:privilege:2'>{inside}</privilege></message>"
            )
            self.assertIn("<forbidden ", service.raw().decode())
        self.assertEqual(juliet.received(), [])

    def test_in_order(self) -> None:
        """What it says stays in its order while the store is asked who there is."""
        house = trusting_house(message="outgoing")
        service, _ = enter(house)
        (juliet,) = house.connect("juliet")
        slow: list[Deferred[None]] = []
        credentials = house.store.accounts.credentials

        async def slowly(account: str) -> Credentials | None:
            slow.append(Deferred())
            await slow[-1]
            return await credentials(account)

        self.patch(house.store.accounts, "credentials", slowly)
        for number in range(3):
            self.message(service, "romeo@montague.lit", inside=f"<body>{number}</body>")
        service.send(f"<message from='{PEP}' to='juliet@montague.lit'><body>3</body></message>")
        for number in range(3):
            self.assertEqual(len(slow), number + 1)
            slow[number].callback(None)
        bodies = [stanza.partition("<body>")[2][0] for stanza in juliet.received()]
        self.assertEqual(bodies, list("0123"))

    def test_blocked(self) -> None:
        """Nobody's name is used towards those whom they block, or by whom they block."""
        house = trusting_house(message="outgoing", roster="both")
        service, _ = enter(house)
        romeo, juliet = house.connect("romeo", "juliet")
        command(romeo, "block", "juliet@montague.lit")
        self.assertIn("<not-acceptable ", self.message(service, "romeo@montague.lit"))
        self.assertIn("type='result'", self.roster(service, "get"))
        command(romeo, "unblock")
        command(romeo, "block", PEP)
        self.assertIn("<forbidden ", self.message(service, "romeo@montague.lit"))
        for kind in ("get", "set"):
            answer = self.roster(service, kind, "<item jid='nurse@montague.lit'/>")
            self.assertIn("<service-unavailable ", answer)
        romeo.send(
            "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
            "<item jid='nurse@montague.lit'/></query></iq>"
        )
        self.assertEqual(service.raw(), b"")
        self.assertNotIn("<message", juliet.raw().decode())

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
        romeo.abort()
        self.assertIn("type='unavailable'", service.raw().decode())

    def watch(self, *plugins: str) -> tuple[House, ComponentClient, Client]:
        """A house with a component that is told who is here, and Romeo, who is."""
        house = trusting_house(presence="managed_entity", plugins=plugins)
        service, _ = enter(house)
        (romeo,) = house.connect("romeo")
        self.assertIn("<presence from='romeo@montague.lit/1'", service.raw().decode())
        return house, service, romeo

    def test_invisible(self) -> None:
        """Who becomes invisible is seen to leave, and not seen until visible (PL-10)."""
        house, service, romeo = self.watch("invisible")
        invisible(romeo)
        gone = "<presence from='romeo@montague.lit/1' to='pep.montague.lit' type='unavailable'/>"
        self.assertEqual(service.raw().decode(), gone)
        romeo.send("<presence><show>away</show></presence>")
        house.connect("romeo/2")[0].abort()
        self.assertEqual(service.raw().decode().count("romeo@montague.lit/1"), 0)
        service.abort()
        service, told = enter(house)
        self.assertNotIn("romeo@montague.lit/1", told)
        visible(romeo)
        self.assertEqual(service.raw(), b"")
        romeo.send("<presence/>")
        self.assertIn("<presence from='romeo@montague.lit/1'", service.raw().decode())
        romeo.abort()
        self.assertEqual(service.raw().decode(), gone)

    def test_invisible_from_the_beginning(self) -> None:
        """Who comes invisibly comes and goes unseen."""
        house, service, _ = self.watch("invisible")
        juliet = house.bind("juliet")
        invisible(juliet)
        juliet.send("<presence/>")
        juliet.send("<presence type='unavailable'/>")
        juliet.abort()
        self.assertEqual(service.raw(), b"")

    def test_presence_and_blocks(self) -> None:
        """Whom an account blocks sees it leave, and return when unblocked (PL-7)."""
        house, service, romeo = self.watch("blocking")
        command(romeo, "block", PEP)
        self.assertEqual(service.raw().decode().count("type='unavailable'"), 1)
        romeo.send("<presence><show>away</show></presence>")
        (second,) = house.connect("romeo/2")
        second.abort()
        service.abort()
        service, told = enter(house)
        self.assertNotIn("<presence", told)
        command(romeo, "unblock", PEP)
        self.assertIn("<show>away</show>", service.raw().decode())
        command(romeo, "block", "tybalt@montague.lit")
        self.assertEqual(service.raw(), b"")
        romeo.abort()
        self.assertIn("type='unavailable'", service.raw().decode())

    def test_blocked_before(self) -> None:
        """A block that is there before somebody comes holds as well."""
        house, service, romeo = self.watch("blocking")
        command(romeo, "block", PEP)
        romeo.abort()
        service.raw()
        (romeo,) = house.connect("romeo")
        romeo.abort()
        self.assertEqual(service.raw(), b"")

    def test_lists(self) -> None:
        """So does a privacy list, of which kind ever, and by whatever it names the component."""
        rules = (
            f"<item action='deny' order='1' type='jid' value='{PEP}'><presence-out/></item>",
            "<item action='deny' order='1'/>",
            "<item action='deny' order='1' type='subscription' value='none'/>",
        )
        for rule in rules:
            with self.subTest(rule):
                house, service, romeo = self.watch("privacy_lists")
                done(house.server.privacy_lists.save(ROMEO, privacy_list(rule)))
                romeo.send(
                    "<iq type='set' id='a'><query xmlns='jabber:iq:privacy'>"
                    "<active name='l'/></query></iq>"
                )
                self.assertEqual(service.raw().decode().count("type='unavailable'"), 1)
                romeo.send(
                    "<iq type='set' id='a'><query xmlns='jabber:iq:privacy'><active/></query></iq>"
                )
                self.assertIn("<presence from='romeo@montague.lit/1'", service.raw().decode())

    def test_groups(self) -> None:
        """A list may deny a group of contacts, into which the component is moved and out again."""
        house, service, romeo = self.watch("privacy_lists")
        rule = "<item action='deny' order='1' type='group' value='Services'/>"
        done(house.server.privacy_changes.save(ROMEO, privacy_list(rule)))
        done(house.server.privacy_changes.set_default(ROMEO, "l", by=None))
        self.assertEqual(service.raw(), b"")
        for group, seen in (("<group>Services</group>", "unavailable"), ("", "presence")):
            romeo.send(
                "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
                f"<item jid='{PEP}'>{group}</item></query></iq>"
            )
            self.assertIn(seen, service.raw().decode())

    def test_many(self) -> None:
        """However many are here, a component that reads is told of all, and is not cut off."""
        people = [f"n{number}" for number in range(2 * TOLD_PER_TURN + 50)]
        component = [{"name": PEP, "secret": SECRET, "presence": "managed_entity"}]
        config = house_config(
            "montague.lit", component=component, stream={"max_queued_bytes": 100_000}
        )
        house = House(config=config)
        for name in people:
            house.add(name)
        house.connect(*people)
        service = house.service(PEP)
        write = service.handler.write

        def fill(data: bytes) -> None:
            write(data)
            if b"<handshake" in data:
                service.handler.pauseProducing()

        self.patch(service.handler, "write", fill)
        service.shake_hands(SECRET)
        told = service.raw().decode()
        for _ in range(5):
            house.clock.advance(0)
            service.handler.resumeProducing()
            told += service.raw().decode()
            service.handler.pauseProducing()
        self.assertFalse(service.transport.lost)
        self.assertEqual(told.count("<presence "), len(people))

    def test_other_ways(self) -> None:
        """What a component may not know by its privilege it does not get by asking."""
        house = House(
            config=house_config("montague.lit", component=[{"name": PEP, "secret": SECRET}]),
            plugins=("invisible", "last_activity", "disco"),
            romeo={f"x@{PEP}": "both"},
        )
        service, _ = enter(house)
        (romeo,) = house.connect("romeo")
        invisible(romeo)
        service.raw()
        last, items = (f"<query xmlns='{ns}'/>" for ns in (LAST, ITEMS))
        for asked in (
            "<presence from='x@{pep}' to='romeo@montague.lit' type='probe'/>",
            "<presence from='x@{pep}' to='romeo@montague.lit/1' type='probe'/>",
            f"<iq from='x@{{pep}}' to='romeo@montague.lit' type='get' id='l'>{last}</iq>",
            f"<iq from='x@{{pep}}' to='romeo@montague.lit' type='get' id='d'>{items}</iq>",
        ):
            with self.subTest(asked):
                service.send(asked.format(pep=PEP))
                heard = service.raw().decode()
                self.assertNotIn("montague.lit/1", heard)
                self.assertTrue("presence" not in heard or "unavailable" in heard, heard)

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
