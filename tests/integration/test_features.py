"""What clients ask of a server beside messages and presence, with slixmpp."""

import asyncio
import re
from pathlib import Path

from slixmpp.exceptions import IqError

from tests.integration.people import PASSWORD, Person, Refused, ServerCase, people

ADMIN = "http://jabber.org/protocol/admin"
BOSS = "escalus@verona.lit"
MANUAL = Path(__file__).parents[2] / "docs" / "administration.md"
GAJIM = {
    "XEP-0045: Multi-User Chat": ("conference", "http://jabber.org/protocol/muc"),
    "XEP-0054: vcard-temp": ("server", "vcard-temp"),
    "XEP-0077: In-Band Registration": ("server", "jabber:iq:register"),
    "XEP-0163: Personal Eventing Protocol": ("account", "pubsub/pep"),
    "XEP-0163: #publish-options": ("account", "http://jabber.org/protocol/pubsub#publish-options"),
    "XEP-0191: Blocking Command": ("server", "urn:xmpp:blocking"),
    "XEP-0198: Stream Management": ("stream", "urn:xmpp:sm:3"),
    "XEP-0258: Security Labels in XMPP": ("server", "urn:xmpp:sec-label:0"),
    "XEP-0280: Message Carbons": ("server", "urn:xmpp:carbons:2"),
    "XEP-0313: Message Archive Management": ("account", "urn:xmpp:mam:2"),
    "XEP-0363: HTTP File Upload": ("upload", "urn:xmpp:http:upload:0"),
    "XEP-0398: Avatar Conversion": ("account", "urn:xmpp:pep-vcard-conversion:0"),
    "XEP-0411: Bookmarks Conversion": ("account", "urn:xmpp:bookmarks-conversion:0"),
    "XEP-0402: Bookmarks Compat": ("account", "urn:xmpp:bookmarks:1#compat"),
    "XEP-0402: Bookmarks Compat PEP": ("account", "urn:xmpp:bookmarks:1#compat-pep"),
}
"""The rows of "Server Info" of Gajim 1.7, and by what it ticks them."""


class FeatureTests(ServerCase):
    settings = {"admins": [BOSS]}

    @people
    async def test_conflict(self) -> None:
        """Who comes with a resource that is taken takes it; the old client is told why it goes."""
        (romeo,) = await self.arrivals("romeo")
        again = await self.person(romeo.boundjid.full).arrive()
        await romeo.expect("error", condition="conflict")
        self.assertEqual(again.boundjid, romeo.boundjid)

    @people
    async def test_discovery(self) -> None:
        """A client learns what the server is and can do, and the server's version."""
        (romeo,) = await self.arrivals("romeo")
        info = await romeo["xep_0030"].get_info(jid="verona.lit")
        identities = {identity[:2] for identity in info["disco_info"]["identities"]}
        self.assertIn(("server", "im"), identities)
        for feature in ("urn:xmpp:ping", "vcard-temp", "jabber:iq:register", "jabber:iq:version"):
            self.assertIn(feature, info["disco_info"]["features"])
        version = await romeo["xep_0092"].get_version("verona.lit")
        self.assertEqual(version["software_version"]["name"], "xmppd")

    @people
    async def test_server_info(self) -> None:
        """Each row that Gajim's "Server Info" shows is ticked, but what the manual says is not a
        feature.
        """
        (romeo,) = await self.arrivals("romeo")
        domain, account = "verona.lit", romeo.boundjid.bare
        told: dict[str, set[str]] = {}
        for address in (domain, account, f"conference.{domain}", f"upload.{domain}"):
            info = (await romeo["xep_0030"].get_info(jid=address))["disco_info"]
            told[address] = info["features"] | {"/".join(each[:2]) for each in info["identities"]}
        features = [each.xml for each in romeo.inbox if each.name == "features"][-1]
        told["stream"] = {each.tag[1:].partition("}")[0] for each in features}
        places = {"conference": f"conference.{domain}", "upload": f"upload.{domain}",
                  "server": domain, "account": account, "stream": "stream"}  # fmt: skip
        rows = dict(re.findall(r"^\| (XEP-[^|]*) \| ([^|]*) \|$", MANUAL.read_text(), re.MULTILINE))
        self.assertEqual(list(rows), list(GAJIM))
        for row, (place, feature) in GAJIM.items():
            is_ticked = feature in told[places[place]]
            self.assertEqual(is_ticked, "is not a feature" not in rows[row], row)

    @people
    async def test_capabilities(self) -> None:
        """The hash of the server's capabilities is right, and so is that of a friend's client."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        announced = [stanza for stanza in romeo.inbox if stanza.name == "features"]
        caps = announced[-1].xml.find("{http://jabber.org/protocol/caps}c")
        assert caps is not None
        node = f"{caps.get('node')}#{caps.get('ver')}"
        info = (await romeo["xep_0030"].get_info(jid="verona.lit", node=node))["disco_info"]
        self.assertEqual(romeo["xep_0115"].generate_verstring(info, "sha-1"), caps.get("ver"))
        await romeo["xep_0115"].update_caps(broadcast=False)
        romeo.send_presence(pto=juliet.boundjid.full)
        presence = await juliet.expect("presence", sender=romeo.boundjid)
        node = f"{presence['caps']['node']}#{presence['caps']['ver']}"
        info = await juliet["xep_0030"].get_info(jid=romeo.boundjid.full, node=node)
        self.assertIn("urn:xmpp:ping", info["disco_info"]["features"])

    @people
    async def test_administration(self) -> None:
        """An administrator adds an account from a client; nobody else may."""
        boss = await self.person(self.server.add_user(BOSS, PASSWORD)).arrive()
        (romeo,) = await self.arrivals("romeo")
        address = "benvolio@verona.lit"
        with self.assertRaises(IqError) as refused:
            await self.add_user(romeo, address)
        self.assertEqual(refused.exception.condition, "forbidden")
        with self.assertRaises(Refused):
            await self.person(address, mechanism="PLAIN").log_in()
        self.assertEqual(await self.add_user(boss, address), "completed")
        await self.person(address).arrive()

    async def add_user(self, asker: Person, address: str) -> str:
        """Go through the command; how it ended."""
        node = f"{ADMIN}#add-user"
        command = (await asker["xep_0050"].send_command("verona.lit", node))["command"]
        form = command["form"]
        values = {"accountjid": address, "password": PASSWORD, "password-verify": PASSWORD}
        for name, value in values.items():
            form.get_fields()[name]["value"] = value
        form.reply()
        form["type"] = "submit"
        answer = await asker["xep_0050"].send_command(
            "verona.lit",
            node,
            action="complete",
            payload=form,
            sessionid=command["sessionid"],
        )
        return str(answer["command"]["status"])

    @people
    async def test_shutdown(self) -> None:
        """When the server stops, its clients are told that it does; when one of several nodes does,
        that they find another one (CL-121).
        """
        (romeo,) = await self.arrivals("romeo")
        await asyncio.to_thread(self.server.stop)
        await romeo.expect("error", condition="reset" if self.is_spread else "system-shutdown")
