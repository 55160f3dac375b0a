"""What was written to a client and has not left is read back as it was."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.session.local_client_session import stanzas_in

ADDRESSES = "from='romeo@montague.lit/1' to='juliet@montague.lit/1'"


class StanzasTests(SynchronousTestCase):
    """stanzas_in."""

    def test_names(self) -> None:
        """What is in no namespace stays in none, and what is in the client's stays there."""
        message = f"<message {ADDRESSES}><y xmlns=''/><body>Hi</body><x xmlns='urn:x'/></message>"
        presence = f"<presence {ADDRESSES}/>"
        request = f"<iq {ADDRESSES} type='get' id='1'><q xmlns='urn:x'><z xmlns=''/></q></iq>"
        found = stanzas_in((message + presence + request).encode())
        self.assertEqual([each.name for each in found], ["message", "iq"])
        for each, before in zip(found, (message, request), strict=True):
            self.assertEqual(each.wire().decode(), before)

    def test_torn(self) -> None:
        """What is not whole is nothing of ours."""
        self.assertEqual(stanzas_in(b"<message><body>Hi</bo"), [])
        self.assertEqual(stanzas_in(b"<message/>"), [])
