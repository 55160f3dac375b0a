"""Invitations, with an independent client that has no account yet."""

from typing import Any, ClassVar

from slixmpp.exceptions import IqError
from slixmpp.stanza import StreamFeatures

from tests.integration.people import PASSWORD, Person, Refused, ServerCase, people


class InvitedTests(ServerCase):
    """Registration is closed."""

    settings: ClassVar[dict[str, object]] = {"registration": {"open": False}}

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.account("romeo")

    def token(self) -> str:
        """The token of an invitation of Romeo's."""
        (made,) = self.server.tell("invite create", **{"from": self.romeo})
        assert isinstance(made, dict)
        return str(made["uri"]).partition("preauth=")[2].partition(";")[0]

    def guest(self, address: str, token: str) -> "Guest":
        """Somebody without an account, who has a token."""
        guest = Guest(self.server, address, PASSWORD)
        guest.token = token
        self.present.append(guest)
        return guest

    @people
    async def test_comes(self) -> None:
        """A client shows its token, registers, logs in, and has who invited it as a contact; the
        next one with the same token finds registration closed.
        """
        romeo = self.person(self.romeo)
        await romeo.arrive()
        token = self.token()
        juliet = self.guest("juliet@verona.lit", token)
        await juliet.arrive()
        self.assertEqual(juliet.client_roster[self.romeo]["subscription"], "both")
        self.assertEqual(romeo.client_roster["juliet@verona.lit"]["subscription"], "both")
        thief = self.guest("tybalt@verona.lit", token)
        with self.assertRaises(Refused):
            await thief.log_in()
        self.assertEqual(thief.error.condition, "service-unavailable")


class Guest(Person):
    """Somebody who shows a token and registers before login (:xep:`0445`).

    Attributes:
        token: That of an invitation.
        error: Why it was refused.
    """

    token: str
    error: IqError

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        order = self["xep_0077"].order  # which would ask for the form first
        self.unregister_feature("register", order)
        self.register_feature("register", self._come, restart=False, order=order)

    async def _come(self, features: StreamFeatures) -> bool:
        # slixmpp keeps everything but registration itself back until it has logged in.
        self.send_raw(
            f"<iq type='set' id='pa1' to='{self.boundjid.host}'>"
            f"<preauth xmlns='urn:xmpp:pars:0' token='{self.token}'/></iq>"
        )
        filled = self.make_iq_set()
        filled["register"]["username"] = self.boundjid.user
        filled["register"]["password"] = self.password
        try:
            await filled.send()
        except IqError as error:
            self.error = error
            self.abort()
        return False
