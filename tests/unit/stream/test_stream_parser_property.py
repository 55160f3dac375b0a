"""Whatever is sent and however it is torn, the parser hears what plain expat hears."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.odd_stanzas import odd_stanzas
from tests.unit.stream.stream_cases import END, HEADER, hear
from tests.unit.stream.stream_reference import FRAGMENTS, WRONG, cut, differences
from xmppd.stream.stream_header import canonical

randoms = st.integers(0, 2**32).map(Random)
names = st.sampled_from(("message", "iq", "body", "x:y", "q"))
texts = st.sampled_from(("", "hi", " ", "&amp;", "<![CDATA[</message>]]>", "&#10;", "]]", "'", "β"))
attributes = st.sampled_from(
    ("", " a='>'", ' b="\'/>"', " from='x'", " xmlns='u'", " xmlns='jabber:client'", " xmlns=''")
)


ENDS = (
    b"<stream/></stream>", b"<stream></stream></stream>", b"<s/></s>", b"</stream>", b"<stream/>",
    b"<%b/></%b>" % ((canonical({})[1:-1],) * 2), b"</%b>" % canonical({})[1:-1],
)  # fmt: skip
"""What would end the element that encloses the stanzas, if it had such a name."""


def written(name: str, attribute: str, children: list[str]) -> str:
    """An element; a prefix in its name is bound by itself."""
    head = f"{name}{attribute}" + (" xmlns:x='v'" if ":" in name else "")
    return f"<{head}>{''.join(children)}</{name}>" if children else f"<{head}/>"


elements = st.recursive(
    st.builds(written, names, attributes, st.just([])),
    lambda inner: st.builds(written, names, attributes, st.lists(inner | texts, max_size=4)),
    max_leaves=12,
)


class PropertyTests(SynchronousTestCase):
    @given(st.lists(elements, max_size=6), randoms)
    def test_elements(self, stanzas: list[str], random: Random) -> None:
        """Well-formed stanzas are heard one by one, with their own bytes or none."""
        data = "".join(text + random.choice(("", "", " ", "\n")) for text in stanzas).encode() + END
        self.assertEqual(differences(data, cut(data, random)), [])

    @given(st.lists(st.sampled_from(FRAGMENTS), max_size=20), randoms)
    def test_fragments(self, fragments: list[bytes], random: Random) -> None:
        """Pieces of XML in any order mean what they mean to expat."""
        data = b"".join(fragments) + END
        self.assertEqual(differences(data, cut(data, random)), [])

    @given(st.lists(st.sampled_from(FRAGMENTS + WRONG), max_size=12), randoms)
    def test_mistakes(self, fragments: list[bytes], random: Random) -> None:
        """A mistake is found by both, and everything before it is heard."""
        data = b"".join(fragments) + END
        self.assertEqual(differences(data, cut(data, random)), [])

    @given(
        st.lists(odd_stanzas | st.sampled_from(WRONG + ENDS) | st.binary(max_size=4), max_size=8),
        odd_stanzas,
        randoms,
    )
    def test_nobody_spoils_a_parser(
        self, noise: list[str | bytes], stanza: str, random: Random
    ) -> None:
        """Whatever one stream brings, a legal stanza on another one is heard, wherever it tears."""
        bad = b"".join(each if isinstance(each, bytes) else each.encode() for each in noise)
        hear([HEADER, *cut(bad, random)])
        data = stanza.encode() + END
        self.assertEqual(differences(data, cut(data, random)), [])
        self.assertEqual(hear([HEADER, *cut(data, random)])[-1], "closed")

    @given(st.lists(odd_stanzas, max_size=3), randoms)
    def test_odd_stanzas(self, stanzas: list[str], random: Random) -> None:
        """What is legal and odd is heard as it is meant."""
        data = "".join(stanzas).encode() + END
        self.assertEqual(differences(data, cut(data, random)), [])

    @given(st.lists(elements, min_size=1, max_size=4), st.binary(max_size=3), randoms)
    def test_noise(self, stanzas: list[str], noise: bytes, random: Random) -> None:
        """A few wrong bytes anywhere make no difference between the two either."""
        data = "".join(stanzas).encode()
        at = random.randint(0, len(data))
        data = data[:at] + noise + data[at + random.randint(0, 2) :] + END
        self.assertEqual(differences(data, cut(data, random)), [])
