"""Addresses: what they cost, at most, whoever makes them up."""

from random import Random

from precis_i18n import get_profile
from precis_i18n.profile import Profile
from precis_i18n.unicode import UnicodeData
from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import JID, jid, profiles
from xmppd.stanza.jid import KNOWN_LABEL_US, effort


class Counting(UnicodeData):
    """Counts how often somebody asks whether a character is of some script or kind of digit."""

    asked = 0

    def arabic_indic(self, cp: int) -> bool:
        self.asked += 1
        return super().arabic_indic(cp)

    def extended_arabic_indic(self, cp: int) -> bool:
        self.asked += 1
        return super().extended_arabic_indic(cp)

    def hiragana_katakana_han_script(self, cp: int) -> bool:
        self.asked += 1
        return super().hiragana_katakana_han_script(cp)


def enforced(profile: Profile, text: str) -> str:
    """What a profile makes of a text, or why it does not."""
    try:
        return profile.enforce(text)
    except UnicodeEncodeError as error:
        return error.reason


class LimitTests(SynchronousTestCase):
    """A peer may name any address."""

    def test_few_bytes_are_kept(self) -> None:
        """Many long addresses take no more room than many short ones: all are forgotten in time."""
        self.patch(jid, "MAX_INTERNED_BYTES", 1 << 20)
        self.patch(jid, "_interned", jid._Interned())
        JID.parse("romeo@montague.lit")
        most = 0
        for number in range(1_000):
            JID.parse(f"romeo@montague.lit/{number}" + "\N{ROSE}" * 250)
            most = max(most, len(jid._interned))
        self.assertLess(most, 100)
        self.assertNotIn("romeo@montague.lit", jid._interned)

    def test_as_long_as_in_dns(self) -> None:
        """A domain that no name in DNS can be is refused before its labels are prepared."""
        label = "é" * 58  # "xn--", and one letter or more for each of these
        for text in (".".join(["é"] * 300), ".".join([label] * 5), "a." * 127 + "b"):
            with self.assertRaisesRegex(ValueError, "longer than a name in DNS"):
                JID.parse(text)
        self.assertEqual(JID.parse("a." * 126 + "b").domain, "a." * 126 + "b")
        self.assertEqual(JID.parse("É.example").domain, "é.example")

    def test_long_texts(self) -> None:
        """What is longer than an address can be is refused before anything of it is read."""
        spent_us = effort.spent_us
        longest = "ab" * 511 + "c"
        for text, part in (
            ("é" * 2_000 + "@m.lit", "the part before the @ is"),
            (longest + "d@m.lit", "the part before the @ is"),
            ("m.lit/" + "é" * 512, "resource"),
            ("m.lit/" + longest + "d", "resource"),
            ("m." + "é" * 512, "domain"),
            ("é" * 100_000, "address"),
            ("m." + "x" * 64, "label"),
            ("xn--" + "a9" * 40 + ".lit", "label"),
            ("é" * 64 + ".lit", "label"),
        ):
            with self.subTest(text=text[:10]), self.assertRaisesRegex(ValueError, part):
                JID.parse(text)
        self.assertLess(effort.spent_us - spent_us, 10 * KNOWN_LABEL_US)
        self.assertEqual(JID.parse(f"{longest}@m.lit/{longest}").local, longest)

    def test_linear(self) -> None:
        """Digits and dots that the whole text has a say in are checked as quickly as letters."""
        texts = ("\u0660" * 511, "\u06f9" * 511, "\u30fb" * 340 + "\u30a2")
        for text in texts:
            ucd = Counting()
            profiles._ResourceProfile(ucd).enforce(text)
            self.assertLess(ucd.asked, 10 * len(text))

    def test_rules(self) -> None:
        """The library's rules are not bent by that."""
        both = (
            (get_profile("UsernameCaseMapped"), profiles.local_profile),
            (get_profile("OpaqueString"), profiles.resource_profile),
        )
        letters = "aل٣۴٠۰\u30fb\u30a2l\u00b7l\u200c\u200dक\u094d\u0628\u0391\u0375\u05f3\u05d0A漢é"
        choose = Random(9).choice
        allowed = 0
        for length in range(1, 9):
            for _ in range(400):
                text = "".join(choose(letters) for _ in range(length))
                for theirs, ours in both:
                    expected = enforced(theirs, text)
                    self.assertEqual(enforced(ours, text), expected, ascii(text))
                    allowed += "DISALLOWED" not in expected
        self.assertGreater(allowed, 1_000)

    def test_effort(self) -> None:
        """What preparing takes is known, and nothing is prepared twice."""
        self.patch(jid, "_interned", jid._Interned())
        jid._label.cache_clear()
        for text, least_us in (
            ("romeo@montague.lit/orchard", 0),
            ("Roméo@montague.lit", 10),
            ("m.lit/bälcony", 10),
            ("élysée.lit", 40),
        ):
            before_us = effort.spent_us
            found = JID.parse(text)
            spent_us = effort.spent_us - before_us
            self.assertLessEqual(least_us, spent_us)
            self.assertEqual(bool(least_us), bool(spent_us))
            self.assertIs(JID.parse(text), found)
            self.assertIs(JID.prepared(found.full), found)
            self.assertEqual(effort.spent_us, before_us + spent_us)
        before_us = effort.spent_us
        self.assertEqual(JID.parse("romeo@élysée.lit").domain, "élysée.lit")  # its label is known
        self.assertEqual(effort.spent_us, before_us + 2 * KNOWN_LABEL_US)

    def test_prepared(self) -> None:
        """What we have prepared and kept is taken apart, and not prepared again."""
        for text in ("élysée.lit", "roméo@m.lit", "r@m.lit/bäl@cony/2", "m.lit/é", "[2001:db8::1]"):
            known = JID.parse(text)
            self.patch(jid, "_interned", jid._Interned())
            before_us = effort.spent_us
            found = JID.prepared(text)
            self.assertEqual(effort.spent_us, before_us)
            for part in ("local", "domain", "resource", "bare", "full", "wire"):
                self.assertEqual(getattr(found, part), getattr(known, part))

    def test_prepared_and_damaged(self) -> None:
        """What is no address any more is refused; what is another one now misleads no peer."""
        for text in ("", "@m.lit", "m.lit/", "r@", "r@m.l\x00t", "r@m.lit/a\nb"):
            with self.assertRaises(ValueError):
                JID.prepared(text)
        self.assertEqual(JID.prepared("Romeo@m.lit").full, "Romeo@m.lit")
        self.assertEqual(JID.parse("Romeo@m.lit").full, "romeo@m.lit")

    def test_scope(self) -> None:
        """An IPv6 address brings no text of its own into addresses and logs."""
        self.assertEqual(JID.parse("[FE80::1]").domain, "[fe80::1]")
        for text in ("[fe80::1%eth0]", "[fe80::1%<'\n2026 info: all is well>]"):
            with self.assertRaisesRegex(ValueError, "scope"):
                JID.parse(text)
