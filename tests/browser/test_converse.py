"""converse.js in Chromium: as half of those do who try a server."""

from base64 import b64decode

from tests.browser.browser_case import BrowserCase
from tests.browser.relay import Relay

PICTURE = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SHOWN = """(() => {
  const picture = document.querySelector("converse-chat-message img.chat-image");
  return picture && picture.complete && picture.naturalWidth > 0;
})()"""


class ConverseTests(BrowserCase):
    def talk(self, one: str, other: str) -> None:
        """Two people log in, one of them asks the other for presence, and they talk."""
        romeo, juliet = self.person("romeo"), self.person("juliet")
        his, hers = self.converse(romeo, one), self.converse(juliet, other)
        his.evaluate("async (jid) => { await api.contacts.add({ jid }); }", juliet)
        self.wait(hers, f"converse_.state.roster.get('{romeo}')?.get('requesting')")
        hers.evaluate(
            "(jid) => { const contact = converse_.state.roster.get(jid);"
            " contact.authorize(); contact.subscribeToPresence(); }",
            romeo,
        )
        for page, jid in ((his, juliet), (hers, romeo)):
            self.wait(page, f"converse_.state.roster.get('{jid}')?.getStatus() === 'online'")
        self.open_chat(his, juliet)
        self.open_chat(hers, romeo)
        self.write(his, "what light is this?")
        self.shows(hers, "what light is this?")
        self.write(hers, "ay me")
        self.shows(his, "ay me")
        hers.evaluate("async () => { await api.user.logout(); }")
        self.wait(his, f"converse_.state.roster.get('{juliet}')?.getStatus() === 'offline'")

    def test_web_socket(self) -> None:
        """By WebSocket it logs in with SCRAM, has contacts and presence, and talks; who logs out is
        seen as gone at once.
        """
        self.talk("ws", "ws")

    def test_bosh(self) -> None:
        """So it does by BOSH, with somebody who has come by WebSocket."""
        self.talk("bosh", "ws")

    def test_cut(self) -> None:
        """A connection that was cut is made again: nothing that was said meanwhile is lost, and
        nothing comes twice.
        """
        romeo, juliet = self.person("romeo"), self.person("juliet")
        relay = Relay(self.server.https_port)
        self.addCleanup(relay.close)
        his, hers = self.converse(romeo, "ws", relay.port), self.converse(juliet, "ws")
        self.open_chat(his, juliet)
        self.open_chat(hers, romeo)
        self.write(hers, "before")
        self.shows(his, "before")
        relay.cut()
        self.write(hers, "meanwhile")
        self.wait(his, "window.events.includes('reconnected')")
        self.shows(his, "meanwhile")
        self.write(his, "after")
        self.shows(hers, "after")
        for text in ("before", "meanwhile"):
            self.assertEqual(his.locator("converse-chat-message-body", has_text=text).count(), 1)

    def test_picture(self) -> None:
        """A picture that somebody sends is uploaded, and shown to the other one."""
        romeo, juliet = self.person("romeo"), self.person("juliet")
        his, hers = self.converse(romeo, "ws"), self.converse(juliet, "bosh")
        self.open_chat(his, juliet)
        self.open_chat(hers, romeo)
        his.set_input_files(
            "converse-chat input.fileupload",
            {"name": "a rose.png", "mimeType": "image/png", "buffer": PICTURE},
        )
        self.wait(hers, SHOWN)
