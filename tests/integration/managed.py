"""A client that can resume its session at any node."""

import re

from tests.integration.processes import Peer

SM = b"xmlns='urn:xmpp:sm:3'"


class Managed(Peer):
    """A client with XEP-0198 that is at one node, and then at another one.

    Attributes:
        previd: By which it resumes its session.
        handled: The number of stanzas that it has got.
    """

    previd = b""
    handled = 0

    def enable(self) -> None:
        """Switch it on."""
        self.send(b"<enable %b resume='true'/>" % SM)
        self.until(b"<enabled ")
        (self.previd,) = re.findall(rb"\bid='([^']+)'", self.until(b"/>"))

    def resume(self, before: "Managed", name: str, password: str) -> None:
        """Go on with the session of another connection."""
        self.prove(name, password)
        self.send(b"<resume %b previd='%b' h='%d'/>" % (SM, before.previd, before.handled))
        self.until(b"<resumed ")
        self.until(b"/>")
        self.previd, self.handled = before.previd, before.handled
