"""Carbons and client state with clients that others have written, over real sockets."""

from typing import Any

from slixmpp.xmlstream import ET

from tests.integration.people import PLUGINS, Person, ServerCase, people

MORE = (*PLUGINS, "xep_0280", "xep_0352", "xep_0085", "xep_0297")


class CarbonsTests(ServerCase):
    async def devices(self, name: str, *resources: str) -> list[Person]:
        """A new account with so many resources, all with carbons."""
        account = self.account(name)
        found = []
        for resource in resources:
            person = await self.person(f"{account}/{resource}", plugins=MORE).arrive()
            await person["xep_0280"].enable()
            found.append(person)
        for person in found:
            await person.catch_up()
            person.inbox.clear()
        return found

    async def put_away(self, phone: Person) -> None:
        """Its owner does not look at it, and it has said so."""
        phone["xep_0352"].send_inactive()
        await phone.catch_up()
        phone.inbox.clear()

    async def copy(self, person: Person, direction: str) -> Any:
        """The message inside the copy that comes next."""
        carbon = await person.expect("message")
        self.assertEqual(carbon["from"], person.boundjid.bare)
        self.assertEqual(carbon["to"], person.boundjid.full)
        return carbon[f"carbon_{direction}"]

    @people
    async def test_both_sides(self) -> None:
        """Each device sees the whole conversation, and another person's client one side of it."""
        juliet, phone, tablet = await self.devices("juliet", "laptop", "phone", "tablet")
        (romeo,) = await self.devices("romeo", "orchard")
        self.assertIn("urn:xmpp:carbons:2", await self.features(juliet))
        romeo.say(juliet.boundjid, "She speaks")
        self.assertEqual((await juliet.expect("message"))["body"], "She speaks")
        for device in (phone, tablet):
            inner = await self.copy(device, "received")
            self.assertEqual((inner["body"], inner["from"]), ("She speaks", romeo.boundjid))
        phone.say(romeo.boundjid, "O Romeo")
        self.assertEqual((await romeo.expect("message"))["body"], "O Romeo")
        for device in (juliet, tablet):
            inner = await self.copy(device, "sent")
            self.assertEqual((inner["body"], inner["to"]), ("O Romeo", romeo.boundjid))
        await tablet["xep_0280"].disable()
        romeo.say(juliet.boundjid, "Speak again")
        await self.copy(phone, "received")
        for person in (tablet, romeo):
            await person.saw_nothing("message")

    async def features(self, person: Person) -> set[str]:
        info = await person["xep_0030"].get_info(jid=person.boundjid.domain)
        found: set[str] = info["disco_info"]["features"]
        return found

    @people
    async def test_inactive(self) -> None:
        """A phone in a pocket hears of a message, and of all else together with it."""
        juliet, phone = await self.devices("juliet", "laptop", "phone")
        (romeo,) = await self.devices("romeo", "orchard")
        await self.put_away(phone)
        for number in range(5):
            juliet.send_presence(pstatus=str(number))
        await juliet.catch_up()
        typing = romeo.make_message(juliet.boundjid, mtype="chat")
        typing["chat_state"] = "composing"
        typing.send()
        await juliet.expect("message")
        self.assertEqual(phone.inbox, [])
        romeo.say(juliet.boundjid, "She speaks")
        await phone.expect("message")
        names = [stanza.name for stanza in phone.inbox]
        self.assertEqual(names, ["presence", "message"])
        self.assertEqual(phone.inbox[0]["status"], "4")

    @people
    async def test_active(self) -> None:
        """What waited comes when its owner looks at it, and then all as it happens."""
        juliet, phone = await self.devices("juliet", "laptop", "phone")
        await self.put_away(phone)
        juliet.send_presence(pstatus="balcony")
        await juliet.catch_up()
        self.assertEqual(phone.inbox, [])
        phone["xep_0352"].send_active()
        await phone.expect("presence", status="balcony")
        juliet.send_presence(pstatus="orchard")
        await phone.expect("presence", status="orchard")

    @people
    async def test_many_enables(self) -> None:
        """Thousands of enables, and of states, end with the last one and cost nobody else."""
        juliet, phone = await self.devices("juliet", "laptop", "phone")
        (romeo,) = await self.devices("romeo", "orchard")
        enable = "<iq type='set' id='e{}'><{} xmlns='urn:xmpp:carbons:2'/></iq>"
        state = "<{} xmlns='urn:xmpp:csi:0'/>"
        phone.send_raw(
            "".join(
                enable.format(number, word) + state.format("inactive") + state.format("active")
                for number in range(500)
                for word in ("enable", "disable", "enable")
            )
        )
        await phone.catch_up()
        romeo.say(juliet.boundjid, "She speaks")
        self.assertEqual((await self.copy(phone, "received"))["body"], "She speaks")

    @people
    async def test_forged(self) -> None:
        """A client that is right about carbons takes none from a stranger."""
        juliet, phone = await self.devices("juliet", "laptop", "phone")
        (tybalt,) = await self.devices("tybalt", "street")
        forged = tybalt.make_message(juliet.boundjid, mtype="normal")
        forged.append(
            ET.fromstring(
                "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
                f"<message xmlns='jabber:client' from='{phone.boundjid}'><body>Come</body>"
                "</message></forwarded></received>"
            )
        )
        forged.send()
        came = await juliet.expect("message")
        self.assertEqual(came["from"], tybalt.boundjid)
        await phone.saw_nothing("message")
