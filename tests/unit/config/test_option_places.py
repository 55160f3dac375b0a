"""Where the file says what."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.option_places import line_of, placed

FILE = """\
admins = ["romeo@a.lit"]
s2s.enabled = true

[[domain]]
name = "a.lit"
[[domain]]  # the other
name = "b.lit"
key = "b.key"

[stream]
# stanzas_per_s = 1
stanzas_per_s = 1e12
[archive.limits]
max = 3
"""


class OptionPlacesTests(SynchronousTestCase):
    def test_line_of(self) -> None:
        """The line of an option, or of what stands around it."""
        for option, line in (
            ("admins", 1),
            ("s2s.enabled", 2),
            ("domain[1].name", 5),
            ("domain[2].key", 8),
            ("domain[2].certificate", 6),
            ("domain.name", 5),
            ("stream.stanzas_per_s", 12),
            ("stream.stanzas", 10),
            ("archive.limits.max", 14),
            ("archive", 0),
            ("storage.url", 0),
        ):
            with self.subTest(option):
                self.assertEqual(line_of(FILE, option), line)

    def test_placed(self) -> None:
        """The first word of the sentence is the option, if no other is named."""
        path = Path("/etc/x.toml")
        for sentence, option, says in (
            ("stream.stanzas_per_s is large", "", "/etc/x.toml:12: stream.stanzas_per_s is large"),
            ("storage.url is odd", "", "/etc/x.toml: storage.url is odd"),
            ("others may read it", "admins", "/etc/x.toml:1: others may read it"),
        ):
            self.assertEqual(placed(path, FILE, sentence, option), says)
