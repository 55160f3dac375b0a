"""All the ways a stanza can go, with a stanza that nobody would write on each of them.

What comes out is read by plain expat, and has to mean what went in. The ways are those of two
servers in memory: live, copied, stored, resumed, restarted with, by a component, to another server.
``python -m tests.odd_ways SECONDS [SEED]`` goes them until the time is over, stops at the first
difference, and says which seed leads there.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random, SystemRandom

from tests.odd_stanzas import (
    ANY,
    CLIENT,
    COMPONENT,
    SERVER,
    Meaning,
    meanings,
    odd_element,
    odd_stanza,
)
from xmppd.handler.presence_subscribe_handler import MAX_REQUEST_BYTES
from xmppd.stanza import ns
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd.testing.network import federate

DELAY = (ns.DELAY, "delay")
FORWARDED = ("urn:xmpp:forward:0", "forwarded")
PLUGINS = ("carbons", "disco", "ping", "private_storage", "vcard")
PUBSUB = "http://jabber.org/protocol/pubsub"
ROOM = "hall@conference.montague.lit"
ECHO = "echo.montague.lit"
BENVOLIO = "benvolio@montague.lit"
SAID_BY_ROOMS = (
    DELAY,
    ("http://jabber.org/protocol/muc#user", "x"),
    ("urn:xmpp:occupant-id:0", "occupant-id"),
    ("urn:xmpp:sid:0", "stanza-id"),
)


class Difference(Exception):
    """What came out does not mean what went in."""


class Town:
    """Two servers, a component, and people; they stay for many stanzas.

    Attributes:
        romeo: Says everything; he has another device that sees copies.
        juliet: Hears most of it, as does her other device.
        nurse: Is at the other server.
        echo: A component.
        rosaline: Is in a room, as is Paris; his page enters later.
    """

    def __init__(self) -> None:
        config = house_config(
            "montague.lit",
            component=[{"name": ECHO, "secret": "s"}],
            muc={"instant": True, "messages_per_s": 1_000.0, "burst_messages": 100_000},
        )
        self.house = House(
            config=config,
            plugins=(*PLUGINS, "muc", "caps", "pubsub", "pep"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            benvolio={},
            mercutio={},
            tybalt={},
            rosaline={},
            paris={},
            page={},
        )
        self.other = House("capulet.lit", plugins=PLUGINS, nurse={})
        federate(self.house, self.other)
        self.numbers = count()
        self.come_in()

    def come_in(self) -> None:
        """Everybody logs in."""
        house = self.house
        self.romeo, self.romeo2, self.juliet, self.juliet2 = house.connect(
            "romeo/1", "romeo/2", "juliet/1", "juliet/2"
        )
        for client in (self.romeo2, self.juliet2):
            client.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        (self.nurse,) = self.other.connect("nurse@capulet.lit/1")
        self.echo = house.service(ECHO, "s")
        self.rosaline, self.paris, self.page = house.connect("rosaline", "paris", "page")
        _enter(self.rosaline, "Rosaline")
        _enter(self.paris, "Paris")
        self.romeo.send("<message to='nurse@capulet.lit/1'><body>there</body></message>")
        self.nurse.send("<message to='romeo@montague.lit/1'><body>and back</body></message>")
        self.forget()

    def forget(self) -> None:
        """Whatever came is of no interest."""
        for client in (self.romeo, self.romeo2, self.juliet, self.juliet2, self.nurse, self.echo,
                       self.rosaline, self.paris, self.page):  # fmt: skip
            client.raw()

    def restart(self) -> None:
        """The server stops in good order and starts again."""
        stopping = self.house.stop()
        while not stopping.called:
            self.house.clock.advance(1)
            self.house.network.settle()
        self.house = self.house.again()
        self.other = House("capulet.lit", plugins=PLUGINS, nurse={})
        federate(self.house, self.other)

    def stanza(
        self, random: Random, name: str | None = None, to: str | None = None, *,
        type: str | None = ANY, sender: str = "romeo@montague.lit/1", content: str = CLIENT,
        own: bool | None = None,
    ) -> tuple[str, Meaning]:  # fmt: skip
        """A new one, and what it means; now and then it says itself whom it is from."""
        own = random.random() < 0.3 if own is None else own
        id = f"n{next(self.numbers)}" if random.random() < 0.5 else None
        text = odd_stanza(
            random, name, to=to, type=type, sender=sender if own else None, id=id, content=content
        )
        (said,) = meanings(text, content)
        return text, said

    def request(self, random: Random) -> tuple[str, Meaning]:
        """A request to Benvolio that is short enough to be kept with all its content (PS-15)."""
        while True:
            text, said = self.stanza(random, "presence", BENVOLIO, type="subscribe")
            if len(text.encode()) <= MAX_REQUEST_BYTES // 2:
                return text, said

    def chat(self, random: Random, to: str) -> tuple[str, Meaning]:
        """A message that is worth keeping."""
        while True:
            text, said = self.stanza(random, "message", to, type="chat")
            body = said.child("body")
            if body is not None and body.content and isinstance(body.content[0], str):
                return text, said


def heard(client: Client, content: str = CLIENT) -> list[Meaning]:
    """What came to somebody; that it can be read is half of what is asked here."""
    return meanings(client.raw(), content)


def same(found: Sequence[Meaning], said: Meaning, sender: str | None = None) -> None:
    """One stanza came, and it is the one that was said.

    Raises:
        Difference: It is not.
    """
    if len(found) != 1:
        raise Difference(f"{len(found)} came: {found}")
    inside = [each for each in found[0].content if not _is_delay(each)]
    got = found[0]._replace(content=inside).without("from", "to")
    if got != said.without("from", "to"):
        raise Difference(f"{got} is not {said}")
    if sender is not None and found[0].attributes.get(("", "from")) != sender:
        raise Difference(f"it is from {found[0].attributes}")


def _is_delay(each: str | Meaning) -> bool:
    """Whether it is a stamp of the server's; those of the sender's are of other namespaces."""
    return isinstance(each, Meaning) and each.name == DELAY and ("", "stamp") in each.attributes


def copies(found: Sequence[Meaning]) -> Iterator[Meaning]:
    """What is inside the carbons."""
    for each in found:
        for inside in each.all():
            if inside.name == FORWARDED:
                yield from (inner for inner in inside.content if isinstance(inner, Meaning))
                break


def live(town: Town, random: Random) -> None:
    """To a full address, any stanza."""
    name = random.choice(("message", "presence", "iq"))
    type = random.choice((None, "unavailable")) if name == "presence" else ANY
    text, said = town.stanza(random, name, "juliet@montague.lit/1", type=type)
    town.romeo.send(text)
    same(heard(town.juliet), said, "romeo@montague.lit/1")


def copied(town: Town, random: Random) -> None:
    """To an account, of which each device has it once; and to the sender's other device."""
    to = random.choice(("juliet@montague.lit", "juliet@montague.lit/1"))
    text, said = town.stanza(random, "message", to, type="chat")
    town.romeo.send(text)
    same(heard(town.juliet), said)
    mine = list(copies(heard(town.romeo2)))
    same(mine, said.quoted())
    hers = heard(town.juliet2)
    same(hers if to == "juliet@montague.lit" else list(copies(hers)), _inside(said, to))


def _inside(said: Meaning, to: str) -> Meaning:
    return said.quoted() if "/" in to else said


def stored(town: Town, random: Random) -> None:
    """To somebody who is away, and comes back."""
    text, said = town.chat(random, "tybalt@montague.lit")
    town.romeo.send(text)
    tybalt = town.house.bind("tybalt")
    tybalt.send("<presence/>")
    found = heard(tybalt)
    same([each for each in found if each.name == ("content", "message")], said)
    for each in found:
        if each.name == ("content", "iq"):  # the ping behind them
            tybalt.send(f"<iq type='result' id='{each.attributes['', 'id']}'/>")
    tybalt.send("</stream:stream>")


def resumed(town: Town, random: Random) -> None:
    """To somebody whose network is gone, who goes on where it was."""
    (mercutio,) = town.house.connect("mercutio")
    id = mercutio.enable()
    mercutio.abort()
    name = random.choice(("message", "presence", "iq"))
    type = None if name == "presence" else random.choice(("get", "set")) if name == "iq" else "chat"
    text, said = town.stanza(random, name, "mercutio@montague.lit/1", type=type)
    town.romeo.send(text)
    back = town.house.logged_in("mercutio")
    back.send(f"<resume xmlns='{ns.STREAM_MANAGEMENT}' previd='{id}' h='0'/>")
    same([each for each in heard(back) if each.name[0] == "content"], said)
    back.send("</stream:stream>")


def restarted(town: Town, random: Random) -> None:
    """To somebody whose network is gone while the server stops and starts again."""
    (mercutio,) = town.house.connect("mercutio")
    id = mercutio.enable()
    presence, _ = town.stanza(random, "presence", type=None, sender="mercutio@montague.lit/1")
    mercutio.send(presence)
    mercutio.abort()
    text, said = town.chat(random, "mercutio@montague.lit/1")
    waits, asked = town.request(random)
    town.romeo.send(text + waits)
    town.restart()
    back = town.house.logged_in("mercutio")
    back.send(f"<resume xmlns='{ns.STREAM_MANAGEMENT}' previd='{id}' h='0'/>")
    same([each for each in heard(back) if each.name == ("content", "message")], said)
    back.send("<presence type='unavailable'/>")
    back.send("</stream:stream>")
    town.come_in()
    _is_asked(town, asked)


def requested(town: Town, random: Random) -> None:
    """A request that waits for somebody who is away."""
    text, said = town.request(random)
    town.romeo.send(text)
    town.forget()
    _is_asked(town, said)


def _is_asked(town: Town, said: Meaning) -> None:
    benvolio = town.house.bind("benvolio")
    benvolio.send("<presence/>")
    asked = [each for each in heard(benvolio) if each.attributes.get(("", "type")) == "subscribe"]
    same(asked, said, "romeo@montague.lit")
    benvolio.send("<presence to='romeo@montague.lit' type='unsubscribed'/></stream:stream>")
    town.forget()


def broadcast(town: Town, random: Random) -> None:
    """Presence, for those who are here, and for those who come later."""
    text, said = town.stanza(random, "presence", type=None)
    town.romeo.send(text)
    same(heard(town.juliet), said, "romeo@montague.lit/1")
    town.forget()
    town.juliet2.send("<presence type='unavailable'/><presence/>")
    found = [each for each in heard(town.juliet2) if _is_from(each, "romeo@montague.lit/1")]
    same(found, said)
    town.forget()


def _is_from(found: Meaning, sender: str) -> bool:
    return found.attributes.get(("", "from")) == sender


def last_presence(town: Town, random: Random) -> None:
    """What somebody said when they left, for those who come later."""
    (romeo3,) = town.house.connect("mercutio/3")
    romeo3.send("</stream:stream>")
    text, said = town.stanza(random, "presence", type="unavailable")
    town.romeo2.send("<presence type='unavailable'/>")
    town.forget()
    town.romeo.send(text)
    same(heard(town.juliet), said)
    town.romeo.send("<presence/>")
    town.romeo2.send("<presence/>")
    town.forget()


def to_component(town: Town, random: Random) -> None:
    """To a component, any stanza but those that ask for a subscription."""
    name = random.choice(("message", "presence", "iq"))
    type = None if name == "presence" else ANY
    text, said = town.stanza(random, name, f"x@{ECHO}/y", type=type)
    town.romeo.send(text)
    same(heard(town.echo, COMPONENT), said.on(COMPONENT), "romeo@montague.lit/1")


def from_component(town: Town, random: Random) -> None:
    """From a component."""
    name = random.choice(("message", "presence", "iq"))
    type = None if name == "presence" else ANY
    text, said = town.stanza(
        random, name, "juliet@montague.lit/1", type=type, sender=f"x@{ECHO}", content=COMPONENT,
        own=True,
    )  # fmt: skip
    town.echo.send(text)
    same(heard(town.juliet), said.on(CLIENT), f"x@{ECHO}")


def elsewhere(town: Town, random: Random) -> None:
    """To another server, and from there: as it is on the wire between them, and at its end."""
    name = random.choice(("message", "presence", "iq"))
    type = None if name == "presence" else ANY
    for sender, hearer, to in (
        (town.romeo, town.nurse, "nurse@capulet.lit/1"),
        (town.nurse, town.romeo, "romeo@montague.lit/1"),
    ):
        lines = [line for ends in town.house.network.lines for line in ends if not line.lost]
        before = [len(line.sent) for line in lines]
        text, said = town.stanza(random, name, to, type=type, own=False)
        sender.send(text)
        wire = b"".join(line.sent[at:] for line, at in zip(lines, before, strict=True))
        same(meanings(wire, SERVER), said.on(SERVER))
        same(heard(hearer), said.on(SERVER).on(CLIENT))


def in_a_room(town: Town, random: Random) -> None:
    """To all in a room, to one of them, and as presence there, also for who comes later."""
    name, to, type = random.choice(
        (
            ("message", ROOM, "groupchat"),
            ("message", f"{ROOM}/Paris", "chat"),
            ("presence", f"{ROOM}/Rosaline", None),
        )
    )
    text, said = town.stanza(random, name, to, type=type, own=False)
    wanted = _without_room(said)
    town.rosaline.send(text)
    same([_without_room(each) for each in heard(town.paris)], wanted, f"{ROOM}/Rosaline")
    if name == "presence":
        _enter(town.page, "Page")
        found = [each for each in heard(town.page) if each.name == said.name]
        same([_without_room(each) for each in found if _is_from(each, f"{ROOM}/Rosaline")], wanted)
        town.page.send(f"<presence type='unavailable' to='{ROOM}/Page'/>")


def _enter(client: Client, nick: str) -> None:
    join = "<x xmlns='http://jabber.org/protocol/muc'/>"
    client.send(f"<presence to='{ROOM}/{nick}'>{join}</presence>")


def _without_room(meaning: Meaning) -> Meaning:
    """Without what only a room says."""
    inside = [
        each
        for each in meaning.content
        if not (isinstance(each, Meaning) and each.name in SAID_BY_ROOMS)
    ]
    return meaning._replace(content=inside)


def kept(town: Town, random: Random) -> None:
    """In private storage, and on a card."""
    inside = odd_element(random)
    for begin, end in (("<query xmlns='jabber:iq:private'>", "</query>"),
                       ("<vCard xmlns='vcard-temp'>", "</vCard>")):  # fmt: skip
        town.romeo.send(f"<iq type='set' id='1'>{begin}{inside}<x xmlns='u'>x</x>{end}</iq>")
        town.forget()
        name = meanings(inside)[0].name
        asked = f"<{name[1]} xmlns='{name[0]}'/>" if "private" in begin else ""
        town.romeo.send(f"<iq type='get' id='1'>{begin}{asked}{end}</iq>")
        (answer,) = heard(town.romeo)
        (query,) = (each for each in answer.content if isinstance(each, Meaning))
        same([each for each in query.content if isinstance(each, Meaning)][:1], meanings(inside)[0])


def published(town: Town, random: Random) -> None:
    """At a node of an account: for those who are told, and for those who ask."""
    inside = odd_element(random)
    (said,) = meanings(inside)
    _at_node(town.romeo, "<publish node='odd'><item id='1'><x xmlns='u'/></item></publish>")
    _at_node(town.juliet, "<subscribe node='odd' jid='juliet@montague.lit/1'/>")
    town.forget()
    _at_node(town.romeo, f"<publish node='odd'><item id='1'>{inside}</item></publish>")
    same([_item(each, f"{PUBSUB}#event") for each in heard(town.juliet)], said)
    _at_node(town.juliet, "<items node='odd'/>", "get")
    same([_item(each, PUBSUB) for each in heard(town.juliet)], said)
    _at_node(town.juliet, "<unsubscribe node='odd' jid='juliet@montague.lit/1'/>")


def _at_node(client: Client, action: str, type: str = "set") -> None:
    client.send(
        f"<iq type='{type}' id='n' to='romeo@montague.lit'>"
        f"<pubsub xmlns='{PUBSUB}'>{action}</pubsub></iq>"
    )


def _item(found: Meaning, namespace: str) -> Meaning:
    """What is in the item that somebody got."""
    for each in found.all():
        if each.name == (namespace, "item"):
            (inside,) = (inner for inner in each.content if isinstance(inner, Meaning))
            return inside
    raise Difference(f"{found} has no item")


def answered(town: Town, random: Random) -> None:
    """A request that the server answers, with what the request is called."""
    text, said = town.stanza(random, "iq", "montague.lit", type=random.choice(("get", "set")))
    town.romeo.send(text)
    (answer,) = heard(town.romeo)
    if answer.attributes.get(("", "id")) != said.attributes.get(("", "id")):
        raise Difference(f"{answer} answers {said}")


Way = Callable[[Town, Random], None]
OFTEN: tuple[Way, ...] = (
    live, copied, stored, resumed, requested, broadcast, last_presence, to_component,
    from_component, elsewhere, in_a_room, kept, published, answered,
)  # fmt: skip
SELDOM: tuple[Way, ...] = (restarted,)
SELDOM_EVERY = 50


def go(town: Town, seed: int) -> str:
    """One stanza, one way; its name.

    Raises:
        Difference: Something came out otherwise, or did not.
    """
    random = Random(seed)
    way = random.choice(SELDOM if seed % SELDOM_EVERY == 0 else OFTEN)
    try:
        way(town, random)
        town.forget()
    except Exception as error:
        message = f"{way.__name__}: {error!r}\n  once more: python -m tests.odd_ways 1 {seed}"
        raise Difference(message) from error
    return way.__name__


def main(seconds: float, seed: int) -> None:
    """Go one way after the other until the time is over, and say how often each was gone."""
    until = time.monotonic() + seconds
    town = Town()
    gone = Counter([go(town, seed)])
    while time.monotonic() < until:
        gone[go(town, seed + gone.total())] += 1
    ways = ", ".join(f"{name} {number}" for name, number in sorted(gone.items()))
    sys.stdout.write(f"{gone.total()} stanzas from seed {seed} on, no difference: {ways}\n")


if __name__ == "__main__":
    first = int(sys.argv[2]) if len(sys.argv) > 2 else SystemRandom().randrange(2**32)
    main(float(sys.argv[1]), first)
