"""What people publish at their accounts, with slixmpp."""

from typing import NamedTuple
from xml.etree import ElementTree

from slixmpp.exceptions import IqError

from tests.integration.people import Person, ServerCase, people

TUNE = "http://jabber.org/protocol/tune"


class PEPTests(ServerCase):
    @people
    async def test_tune(self) -> None:
        """What somebody hears is told to contacts whose clients want to know, also later ones."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        addresses = {"account": romeo.boundjid.bare, "contact": juliet.boundjid.bare}
        self.server.tell("roster add", **addresses, mutual=True)
        for person in (romeo, juliet):
            for name in ("xep_0060", "xep_0163", "xep_0118"):
                person.register_plugin(name)
        juliet["xep_0163"].add_interest(TUNE)
        await juliet["xep_0115"].update_caps()
        await romeo["xep_0118"].publish_tune(artist="Mercutio", title="Queen Mab")
        told = await juliet.expect("message", sender=romeo.boundjid.bare)
        self.assertIn("Queen Mab", str(told))
        again = self.person(juliet.boundjid.bare)
        for name in ("xep_0060", "xep_0163", "xep_0118"):
            again.register_plugin(name)
        again["xep_0163"].add_interest(TUNE)
        await again.arrive()
        told = await again.expect("message", sender=romeo.boundjid.bare)
        self.assertIn("Queen Mab", str(told))


class Keys(NamedTuple):
    """Where clients of one generation keep their keys (XEP-0384).

    Attributes:
        devices: The node of the list of devices.
        bundles: The node of keys; with ``{}`` each device has one.
        most: How many items that keeps.
    """

    devices: str
    bundles: str
    most: str

    def place(self, device: str) -> tuple[str, str]:
        """The node and item of a device's keys."""
        named = self.bundles.format(device)
        return named, device if named == self.bundles else "current"


GENERATIONS = (
    Keys(
        "eu.siacs.conversations.axolotl.devicelist",
        "eu.siacs.conversations.axolotl.bundles:{}",
        "1",
    ),
    Keys("urn:xmpp:omemo:2:devices", "urn:xmpp:omemo:2:bundles", "max"),
)


class KeysTests(ServerCase):
    """Clients that encrypt, as others have written them: with options, and without."""

    async def publish(self, person: Person, keys: Keys, *, with_options: bool) -> None:
        """Have somebody's two devices publish their keys."""
        for node, item, what, most in (
            *((*keys.place(device), device, keys.most) for device in ("1", "2")),
            (keys.devices, "current", "1 2", "1"),
        ):
            payload = ElementTree.Element("{urn:verona:keys}keys")
            payload.text = what
            options = person["xep_0004"].make_form(ftype="submit")
            for var, value in (
                ("FORM_TYPE", "http://jabber.org/protocol/pubsub#publish-options"),
                ("pubsub#access_model", "open"),
                ("pubsub#persist_items", "true"),
                ("pubsub#max_items", most),
            ):
                options.add_field(
                    var=var, value=value, ftype="hidden" if var == "FORM_TYPE" else None
                )
            await person["xep_0060"].publish(
                person.boundjid.bare,
                node,
                id=item,
                payload=payload,
                options=options if with_options else None,
            )

    async def fetched(self, person: Person, owner: str, node: str, item: str) -> str:
        """The words of an item that somebody fetches."""
        answer = await person["xep_0060"].get_items(owner, node, item_ids=[item])
        (found,) = answer["pubsub"]["items"]
        return str(found["payload"].text)

    @people
    async def test_strangers(self) -> None:
        """A stranger fetches the list of devices, and the keys of each; of what is not there a
        stranger learns nothing.
        """
        romeo, juliet, tybalt = await self.arrivals("romeo", "juliet", "tybalt")
        for person in (romeo, juliet, tybalt):
            for name in ("xep_0004", "xep_0060", "xep_0163"):
                person.register_plugin(name)
        for owner, with_options in ((romeo, True), (juliet, False)):
            for keys in GENERATIONS:
                await self.publish(owner, keys, with_options=with_options)
                bare = owner.boundjid.bare
                devices = await self.fetched(tybalt, bare, keys.devices, "current")
                self.assertEqual(devices, "1 2")
                for device in devices.split():
                    self.assertEqual(await self.fetched(tybalt, bare, *keys.place(device)), device)
                unknown, _ = keys.place("3")
                if unknown != keys.bundles:
                    with self.assertRaises(IqError) as refused:
                        await tybalt["xep_0060"].get_items(bare, unknown)
                    self.assertEqual(refused.exception.condition, "service-unavailable")


class AnnouncedTests(ServerCase):
    @people
    async def test_monal(self) -> None:
        """An account announces all without which Monal publishes nothing, or keeps its bookmarks
        as of old (PE-1).
        """
        (romeo,) = await self.arrivals("romeo")
        info = (await romeo["xep_0030"].get_info(romeo.boundjid.bare))["disco_info"]
        self.assertIn(("pubsub", "pep"), {each[:2] for each in info["identities"]})
        pubsub = "http://jabber.org/protocol/pubsub"
        wanted = [
            "auto-create",
            "config-node-max",
            "create-nodes",
            "delete-items",
            "delete-nodes",
            "filtered-notifications",
            "item-ids",
            "multi-items",
            "persistent-items",
            "publish",
            "publish-options",
            "retrieve-items",
        ]
        missing = {f"{pubsub}#{name}" for name in wanted} - set(info["features"])
        self.assertEqual(missing, set())
        self.assertIn("urn:xmpp:bookmarks:1#compat-pep", info["features"])
