"""Somebody with an account has a token, and becomes a contact (XEP-0379)."""

from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.invites.invite_case import (
    JULIET,
    ROMEO,
    InviteCase,
    actor,
    give,
    preauth,
    register,
    stranger,
    token_of,
)
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.nodes import Nodes
from xmppd_plugins.invites.commands import NewInvitationRow

GUEST = "juliet@capulet.lit"


def subscribe(client: Client, token: str, to: str = ROMEO) -> None:
    """Ask to see somebody's presence, with a token."""
    client.send(
        f"<presence to='{to}' type='subscribe'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/>"
        "</presence>"
    )


class RequestTests(InviteCase):
    def setUp(self) -> None:
        super().setUp()
        self.house.add("juliet", {})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.romeo.raw()

    def test_here(self) -> None:
        """A request with the token is granted at once, and its answer asked for; nobody is asked
        for anything who has agreed beforehand.
        """
        self.juliet.send(f"<presence to='{ROMEO}' type='subscribed'/>")
        subscribe(self.juliet, self.invited())
        self.assertEqual(self.contacts(ROMEO), {JULIET: "both"})
        self.assertEqual(self.contacts(JULIET), {ROMEO: "both"})
        self.assertFalse([each for each in self.romeo.received() if "type='subscribe'" in each])

    def test_elsewhere(self) -> None:
        """Likewise from another server, which is asked in turn."""
        elsewhere = Elsewhere(self.house)
        token = self.invited()
        elsewhere.send(
            f"<presence type='subscribe' from='{GUEST}' to='{ROMEO}'>"
            f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/></presence>"
        )
        heard = " ".join(elsewhere.heard())
        self.assertIn("type='subscribed'", heard)
        self.assertIn("type='subscribe'", heard)
        elsewhere.send(f"<presence type='subscribed' from='{GUEST}' to='{ROMEO}'/>")
        self.assertEqual(self.contacts(ROMEO), {GUEST: "both"})

    def test_once(self) -> None:
        """The next one with the same token is a request as any other."""
        token = self.invited()
        subscribe(self.juliet, token)
        self.house.add("tybalt", {})
        (tybalt,) = self.house.connect("tybalt")
        self.romeo.raw()
        subscribe(tybalt, token)
        self.assertEqual(self.contacts(ROMEO)["tybalt@montague.lit"], "none")
        self.assertIn("subscribe", self.romeo.received()[-1])

    def test_of_others(self) -> None:
        """A token opens no other's door, nor does one that promises a name, or none at all."""
        others = token_of(self.invite(actor("nurse@montague.lit")))
        promised = token_of(self.invite(**{"from": ROMEO, "name": "rosaline"}))
        for token in (others, promised, "nonsense", ""):
            subscribe(self.juliet, token)
        self.assertEqual(self.contacts(ROMEO)[JULIET], "none")
        self.assertEqual(preauth(stranger(self.house), promised), "result")

    def test_no_contact(self) -> None:
        """An invitation that makes no contacts makes none."""
        subscribe(self.juliet, self.invited(no_contact=True))
        self.assertEqual(self.contacts(ROMEO)[JULIET], "none")

    def test_blocked(self) -> None:
        """Whom the inviter has blocked meanwhile does not come in by a token."""
        done(self.house.plugins.load("blocking"))
        token = self.invited()
        self.romeo.send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
            f"<item jid='{JULIET}'/></block></iq>"
        )
        subscribe(self.juliet, token)
        self.assertNotIn("from", self.contacts(ROMEO).get(JULIET, ""))

    def test_seen_already(self) -> None:
        """A contact that asks again uses nothing up."""
        token = self.invited()
        self.juliet.send(f"<presence to='{ROMEO}' type='subscribe'/>")
        self.romeo.send(f"<presence to='{JULIET}' type='subscribed'/>")
        subscribe(self.juliet, token)
        self.assertEqual(preauth(stranger(self.house), token), "result")


class NodesTests(SynchronousTestCase):
    """Romeo is at a, Juliet at b."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", plugins=("invites",), romeo={}, juliet={})
        (self.romeo,) = self.nodes["a"].connect("romeo")
        (self.juliet,) = self.nodes["b"].connect("juliet")
        self.nodes.settle()

    def token(self) -> str:
        """Of an invitation of Romeo's, made at a."""
        (made,) = give(self.nodes["a"], "create", actor(ROMEO))
        return token_of(cast(NewInvitationRow, made))

    def subscription(self, node: str, account: str, contact: str) -> str:
        """What a node says of a contact."""
        roster = done(self.nodes[node].server.roster_manager.roster(self.nodes[node].jid(account)))
        return roster.items[contact].subscription

    def test_request(self) -> None:
        """A token that was made at one node is taken with a request from another."""
        self.juliet.send(f"<presence to='{ROMEO}' type='subscribed'/>")
        subscribe(self.juliet, self.token())
        self.nodes.settle()
        self.assertEqual(self.subscription("a", "romeo", JULIET), "both")
        self.assertEqual(self.subscription("b", "juliet", ROMEO), "both")

    def test_register(self) -> None:
        """Somebody registers at another node than the inviter's, who sees them at once."""
        self.romeo.raw()
        rosaline = stranger(self.nodes["b"])
        self.assertEqual(preauth(rosaline, self.token()), "result")
        self.assertEqual(register(rosaline, "rosaline"), "result")
        self.nodes.settle()
        self.assertEqual(self.subscription("a", "romeo", "rosaline@montague.lit"), "both")
