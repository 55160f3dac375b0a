"""Nodes, with slixmpp."""

from xml.etree import ElementTree

from slixmpp.exceptions import IqError

from tests.integration.people import ServerCase, people

NEWS = "pubsub.verona.lit"


def entry(words: str) -> ElementTree.Element:
    """Something to publish."""
    made = ElementTree.Element("{urn:verona}entry")
    made.text = words
    return made


class PubSubTests(ServerCase):
    settings = {"pubsub": {"create": "local"}}

    @people
    async def test_news(self) -> None:
        """Somebody makes a node and publishes there, others subscribe, are told, and read."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        for person in (romeo, juliet):
            person.register_plugin("xep_0060")
        await romeo["xep_0060"].create_node(NEWS, "news")
        await juliet["xep_0060"].subscribe(NEWS, "news")
        with self.assertRaises(IqError) as refused:
            await juliet["xep_0060"].publish(NEWS, "news", payload=entry("mine"))
        self.assertEqual(refused.exception.condition, "forbidden")
        await romeo["xep_0060"].publish(NEWS, "news", id="1", payload=entry("hi"))
        told = await juliet.expect("message")
        self.assertEqual(told["pubsub_event"]["items"]["item"]["id"], "1")
        read = await juliet["xep_0060"].get_items(NEWS, "news")
        (item,) = read["pubsub"]["items"]
        self.assertEqual(item["payload"].text, "hi")
        nodes = await juliet["xep_0060"].get_nodes(NEWS)
        self.assertEqual([each[1] for each in nodes["disco_items"]["items"]], ["news"])
        form = (await romeo["xep_0060"].get_node_config(NEWS, "news"))["pubsub_owner"]
        form = form["configure"]["form"]
        form["type"] = "submit"
        form.get_fields()["pubsub#access_model"]["value"] = "whitelist"
        await romeo["xep_0060"].set_node_config(NEWS, "news", form)
        with self.assertRaises(IqError) as refused:
            await juliet["xep_0060"].get_items(NEWS, "news")
        self.assertEqual(refused.exception.condition, "not-allowed")
        await romeo["xep_0060"].delete_node(NEWS, "news")
        with self.assertRaises(IqError) as refused:
            await romeo["xep_0060"].get_items(NEWS, "news")
        self.assertEqual(refused.exception.condition, "item-not-found")
