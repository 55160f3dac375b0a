"""Compare what the compiled build makes of made-up streams and addresses with the pure one.

``python -m tests.unit.stream.both_builds EXAMPLES [SEED]`` has two processes say it, one with
``XMPPD_PURE``, and stops at the first line in which they differ. A tree, the words of an error and
every byte are in these lines. It wants the compiled build where it is run: see ``make fuzz``.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from random import Random, SystemRandom
from xml.etree.ElementTree import Element

from tests.odd_stanzas import odd_stanza
from tests.unit.stream.fuzz_stream_parser import fragments, mutated, nested
from tests.unit.stream.stream_cases import END, HEADER, LIMITS
from tests.unit.stream.stream_reference import cut
from xmppd.build import PURE, build
from xmppd.stanza import IQ, JID, Message, Presence, Stanza, StanzaError, StreamError
from xmppd.stanza.delay import as_stamped, as_unread
from xmppd.stream.stanza_intake import KINDS, Language, check_header
from xmppd.stream.stream_parser import Received, StreamOpened, StreamParser

SAY = "say"
ROMEO = JID.parse("romeo@montague.lit/orchard")
JULIET = JID.parse("juliet@capulet.lit/balcony")
LETTERS = "ab.@/-:[]x1 é\u0130ßｘ。\u0660\u06f0\u30fb\u30a2\u200d\u05d0\u0627\0\ud800'\"&<"
ADDRESSES = (
    "romeo@montague.lit/orchard",
    "xn--mnchen-3ya.de",
    "[::1]",
    "Ὀδυσσεύς@ithaka.lit",
    "a@b/c",
)


def opened(random: Random) -> bytes:
    """A header in which a byte or two may be others."""
    header = bytearray(HEADER)
    for _ in range(random.choice((0, 0, 1, 2))):
        header[random.randrange(len(header))] = random.choice(b" <>'\"/:=ax\0")
    return bytes(header)


def streamed(random: Random) -> bytes:
    """What follows it."""
    if random.random() < 0.3:
        return odd_stanza(random).encode() + END
    return random.choice((fragments, nested, mutated))(random) + END


def address(random: Random) -> str:
    """A text that may be an address."""
    if random.random() < 0.3:
        return "".join(random.choices(LETTERS, k=random.choice((1, 3, 9, 1100))))
    text = list(random.choice(ADDRESSES))
    for _ in range(random.randrange(3)):
        text[random.randrange(len(text))] = random.choice(LETTERS)
    return "".join(text)


def tree(found: Element) -> object:
    """All of an element."""
    inside = [tree(inner) for inner in found]
    return found.tag, sorted(found.attrib.items()), found.text, inside, found.tail


def parts(text: str) -> object:
    """What an address becomes, or why it is none."""
    try:
        jid = JID.parse(text)
    except ValueError as error:
        return type(error).__name__, str(error)
    return jid.local, jid.domain, jid.resource, jid.bare, jid.full, jid.wire, str(jid.to_bare())


def written(stanza: Stanza) -> Iterator[object]:
    """Every way in which the server writes a stanza."""
    yield repr(stanza), stanza.wire(), stanza.around_to(), stanza.lang, stanza.answerable
    yield stanza.addressed(JULIET).wire(), stanza.with_child(b"<x xmlns='u'/>").wire()
    yield stanza.without_children(lambda child: child.tag == "body").wire()
    yield stanza.from_bytes(stanza.wire()).wire(), stanza.for_several().wire()
    yield stanza.from_tree(stanza.payload.tree, ROMEO, max_bytes=300).wire()
    if isinstance(stanza, Message):
        yield as_stamped(stanza).with_sender(JULIET).wire(), as_unread(stanza).wire()
    elif isinstance(stanza, Presence):
        yield stanza.show, stanza.capabilities, stanza.priority
    elif isinstance(stanza, IQ):
        yield stanza.query_tag, stanza.result(b"<done/>").wire(), stanza.query.tag


def typed(language: Language, received: Received) -> Iterator[object]:
    """The stanza that an element becomes, as far as it does."""
    kind = KINDS.get(received.tree.tag)
    if kind is None:
        return
    try:
        yield from written(language.typed(kind, received, ROMEO))
    except StanzaError as error:
        yield error.condition, error.text
    except ValueError as error:
        yield type(error).__name__, str(error)


def heard(pieces: list[bytes]) -> Iterator[object]:
    """What is made of a stream that comes in these pieces."""
    parser, language = StreamParser(LIMITS), Language()
    try:
        for piece in pieces:
            parser.feed(piece)
            while (event := parser.next()) is not None:
                yield type(event).__name__, parser.unread
                if isinstance(event, StreamOpened):
                    yield event
                    check_header(event, "jabber:client", "clients")
                    language.speak(event.attributes.get("to", ""))
                elif isinstance(event, Received):
                    yield event.raw, event.size_bytes, tree(event.tree)
                    yield from typed(language, event)
    except StreamError as error:
        yield error.condition, error.text


def say(examples: int, seed: int) -> None:
    """Write a line for each example."""
    sys.stdout.write(f"{build()}\n")
    for number in range(seed, seed + examples):
        random = Random(number)
        pieces = [*cut(opened(random) + streamed(random), random)]
        lines = [pieces, *heard(pieces)]
        sys.stdout.write(f"{number} {lines!a} {parts(address(random))!a}\n")


def compare(examples: int, seed: int) -> str | None:
    """The first line in which the builds differ, from both; None if there is none."""
    command = [sys.executable, "-m", __spec__.name, str(examples), str(seed), SAY]
    said = [
        subprocess.run(
            command, env={**os.environ, PURE: pure}, check=True, capture_output=True, text=True
        ).stdout.splitlines()
        for pure in ("", "1")
    ]
    builds = [lines.pop(0) for lines in said]
    if builds != ["compiled", "pure"]:
        return f"these are not two builds: {builds}"
    pairs = zip_longest(*said)
    return next((f"{ours}\n{theirs}" for ours, theirs in pairs if ours != theirs), None)


def main(examples: int, seed: int) -> None:
    """Compare, and say how many examples agreed."""
    found = compare(examples, seed)
    if found:
        sys.exit(found)
    sys.stdout.write(f"{examples} examples from seed {seed} on, no difference between builds\n")


if __name__ == "__main__":
    examples = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else SystemRandom().randrange(2**32)
    (say if sys.argv[3:] == [SAY] else main)(examples, seed)
