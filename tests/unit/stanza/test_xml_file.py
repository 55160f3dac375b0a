"""Files of XML are read element by element."""

from pathlib import Path
from tempfile import NamedTemporaryFile

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza.xml_file import BYTES_PER_READ, elements_of


class XMLFileTests(SynchronousTestCase):
    def read(self, text: str) -> list[tuple[str, str]]:
        """The names of all elements, with those that they are in; each is removed from there."""
        with NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            found = []
            for element, around in elements_of(Path(file.name)):
                found.append((element.tag, around.tag))
                around.remove(element)
            return found

    def test_elements(self) -> None:
        """Each comes when it ends, with the one that it is in, also the root."""
        self.assertEqual(
            self.read("<a><b><c/></b>text<b/></a>"),
            [("c", "b"), ("b", "a"), ("b", "a"), ("a", "")],
        )

    def test_large(self) -> None:
        """One that is longer than what is read at once is read whole."""
        text = "x" * BYTES_PER_READ
        self.assertEqual(len(self.read(f"<a><b>{text}</b><b>{text}</b></a>")), 3)

    def test_wrong(self) -> None:
        """What is no XML is said to be none, and so is a file whose end is missing."""
        for text in ("<a><b></a>", "a", "<a/><a/>", "<a><b/>", ""):
            error = self.assertRaises(ValueError, self.read, text)
            self.assertIn("malformed or incomplete XML", str(error))
