"""What people publish at their accounts, with slixmpp."""

from tests.integration.people import ServerCase, people

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
