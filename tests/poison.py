"""Whatever one of them says, nobody's stream ends but the sender's, and every login is complete.

A town of two servers in memory, with a component, in which odd stanzas go every way there is: to
somebody who is here, who is away, whose session sleeps, to the component, to the other server, and
into what is kept. In between the first server is stopped in good order, or dies, and is started
again on what it has stored. ``python -m tests.poison --stanzas 100000`` does that for long.
"""

import argparse
import sys
from random import Random, SystemRandom
from time import monotonic
from xml.parsers.expat import ExpatError

from tests.odd_stanzas import CLIENT, COMPONENT, Meaning, meanings, odd_stanza
from xmppd.stanza import ns
from xmppd.testing.client import Client, ComponentClient, done
from xmppd.testing.house import House, house_config, memory_store
from xmppd.testing.network import federate

HERE, THERE, ECHO = "montague.lit", "capulet.lit", "echo.montague.lit"
SECRET = "secret"  # of a component in memory
PLUGINS = (
    "blocking", "caps", "carbons", "client_state", "disco", "last_activity", "ping",
    "privacy_lists", "private_storage", "vcard",
)  # fmt: skip
SENDER, LIVE, ASLEEP, AWAY, FRIEND = "romeo", "benvolio", "mercutio", "nurse", "balthasar"
ODD, STRANGER, NEIGHBOUR, GONE = "rosaline", "sampson", f"tybalt@{THERE}", f"paris@{THERE}"
TARGETS = (
    None, f"{LIVE}@{HERE}", f"{LIVE}@{HERE}/1", f"{ASLEEP}@{HERE}", f"{ASLEEP}@{HERE}/1",
    f"{AWAY}@{HERE}", f"{AWAY}@{HERE}", f"{AWAY}@{HERE}/1", f"{FRIEND}@{HERE}/1", ECHO,
    f"x@{ECHO}/y", NEIGHBOUR, f"{NEIGHBOUR}/1", GONE, f"{SENDER}@{HERE}", f"{ODD}@{HERE}/1",
    HERE, THERE, f"nobody@{HERE}", f"nobody@{THERE}/x", "nobody@nowhere.lit",
)  # fmt: skip
STOP_S = 60
RETRY_S = 5
STANZAS_A_ROUND = 40
ROUNDS_A_TOWN = 25
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class Poisoned(AssertionError):
    """Somebody else than the sender had to bear it."""


class Town:
    """Two servers, their people, and a source of odd stanzas.

    Args:
        seed: Where the oddness comes from; the same one does the same again.

    Attributes:
        sent: How many odd stanzas were sent.
    """

    service: ComponentClient
    odd: Client

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.sent = 0
        self._waits: set[str] = set()
        self._sender: Client | None = None
        friends = {FRIEND: "both", SENDER: "both"}
        config = house_config(
            HERE, component=[{"name": ECHO, "secret": SECRET}], offline={"max_messages": 1_000}
        )
        self.store = memory_store()
        self.here = House(
            config=config, plugins=PLUGINS, store=self.store,
            romeo={LIVE: "both", ASLEEP: "both", AWAY: "both", FRIEND: "both", NEIGHBOUR: "both"},
            benvolio=friends, mercutio=friends, nurse=friends, rosaline=friends,
            balthasar=dict.fromkeys((SENDER, LIVE, ASLEEP, AWAY, ODD, NEIGHBOUR), "both"),
        )  # fmt: skip
        pals = {f"{name}@{HERE}": "both" for name in (SENDER, FRIEND)}
        self.there = House(THERE, plugins=PLUGINS, tybalt=pals, paris=pals, sampson=pals)
        self.network = federate(self.here, self.there)
        self.neighbour, self.unauthenticated = self.there.connect("tybalt", STRANGER)
        self._settle_down()
        self.detached = self._to_sleep(ASLEEP)

    # -- rounds -----------------------------------------------------------------------------------

    def round(self) -> None:
        """Some odd stanzas, a stop or a death of the server, and a look at everybody.

        Raises:
            Poisoned: Somebody else than the sender had to bear it.
        """
        killed = self.random.random() < 0.5
        try:
            for _ in range(STANZAS_A_ROUND):
                self._say_something()
            self._mark("before")
            self._look_at_those_who_are_here("before")
            if self.random.random() < 0.5:
                self._resume(["before"])
                self._mark("again")
                self._restart(killed=killed)
                self._come_back([] if killed else ["again"], ["again"] if killed else [])
            else:
                self._restart(killed=killed)
                self._come_back([] if killed else ["before"], ["before"] if killed else [])
            self._look_at_a_login()
            self._mark("after")
            self._look_at_those_who_are_here("after")
            kept = done(self.store.quarantine.count_quarantined())
            self._must(not kept, f"{kept} records of what was written cannot be read")
        except Poisoned:
            raise
        except Exception as error:
            raise Poisoned(f"seed {self.seed}, after {self.sent} stanzas: {error!r}") from error

    def _must(self, good: object, what: str) -> None:
        if not good:
            raise Poisoned(f"seed {self.seed}, after {self.sent} stanzas: {what}")

    # -- what is said -----------------------------------------------------------------------------

    def _say_something(self) -> None:
        self.sent += 1
        random = self.random
        way = random.random()
        to, id = random.choice(TARGETS), f"n{self.sent}"
        if way < 0.55:
            self._say(self._speaker(), odd_stanza(random, to=to, id=id), to, id)
        elif way < 0.7:
            self._say(self._keeper(), self._to_be_kept(id), None, id)
        elif way < 0.85:
            name = f"s{self.sent}@{ECHO}"
            stanza = odd_stanza(random, to=to, sender=name, id=id, content=COMPONENT)
            self._say(self._component(), stanza, to, id, COMPONENT)
        else:
            if self.unauthenticated.closed:
                (self.unauthenticated,) = self.there.connect(STRANGER)
            self._say(self.unauthenticated, odd_stanza(random, to=to, id=id), to, id)

    def _say(
        self, client: Client, stanza: str, to: str | None, id: str, content: str = CLIENT
    ) -> None:
        """Send it; a message that is to be stored is remembered."""
        (meant,) = meanings(stanza, content)
        texts = [m for m in meant.content if isinstance(m, Meaning) and m.name[0] == "content"]
        if (
            to is not None
            and to.partition("/")[0] == f"{AWAY}@{HERE}"
            and meant.name[1] == "message"
            and meant.attributes.get(("", "type"), "normal") in ("normal", "chat")
            and any(text.name[1] == "body" and any(text.content) for text in texts)
        ):
            self._waits.add(id)
        client.send(stanza)
        if client.closed:
            self._waits.discard(id)
        if not client.transport.lost:
            for answer in self._read(client, content):
                if answer.attributes.get(("", "type")) == "error":
                    self._waits.discard(answer.attributes.get(("", "id"), ""))

    def _to_be_kept(self, id: str) -> str:
        """A stanza that leaves something behind for its sender's own."""
        child = f"<x xmlns='urn:example:kept'>{odd_stanza(self.random)}</x>"
        kind = self.random.choice(("private", "vcard", "presence", "presence", "block"))
        if kind == "presence":
            return odd_stanza(self.random, "presence", type=None, id=id)
        if kind == "private":
            return f"<iq type='set' id='{id}'><query xmlns='jabber:iq:private'>{child}</query></iq>"
        if kind == "vcard":
            return f"<iq type='set' id='{id}'><vCard xmlns='vcard-temp'>{child}</vCard></iq>"
        return (
            f"<iq type='set' id='{id}'><block xmlns='urn:xmpp:blocking'>"
            f"<item jid='x{id}@{HERE}'/></block></iq>"
        )

    # -- who says it ------------------------------------------------------------------------------

    def _speaker(self) -> Client:
        if self._sender is None or self._sender.closed:
            (self._sender,) = self.here.connect(SENDER)
        return self._sender

    def _keeper(self) -> Client:
        if self.odd.closed:
            (self.odd,) = self.here.connect(ODD)
            self.odd.enable()
        return self.odd

    def _component(self) -> ComponentClient:
        if self.service.closed:
            self.service = self.here.service(ECHO, SECRET)
        return self.service

    # -- what becomes of the others ---------------------------------------------------------------

    def _settle_down(self) -> None:
        """Everybody comes who is here while the server is up."""
        self.service = self.here.service(ECHO, SECRET)
        self.live, self.friend, self.odd = self.here.connect(LIVE, FRIEND, ODD)
        self.odd.enable()
        self._sender = None

    def _to_sleep(self, name: str) -> str:
        """Somebody whose session is left asleep; the id to resume it by."""
        (client,) = self.here.connect(name)
        id = client.enable()
        client.abort()
        self.counted = 0
        return id

    def _mark(self, text: str) -> None:
        """The friend says something harmless to everybody."""
        names = (f"{LIVE}@{HERE}", f"{ASLEEP}@{HERE}", f"{AWAY}@{HERE}", NEIGHBOUR, f"y@{ECHO}")
        for name in names:
            self.friend.send(f"<message to='{name}' type='chat'><body>{text}</body></message>")

    def _look_at_those_who_are_here(self, text: str) -> None:
        for who, client, content in (
            (LIVE, self.live, CLIENT),
            (FRIEND, self.friend, CLIENT),
            ("the neighbour", self.neighbour, CLIENT),
            ("the component", self.service, COMPONENT),
        ):
            ended = client.closed
            got = self._read(client, content)
            self._must(not ended, f"the stream of {who} has ended with {got[-1:]}")
            self._must(client is self.friend or text in _bodies(got), f"{who} did not hear")

    def _resume(self, expected: list[str]) -> None:
        """The sleeper comes back, gets what it missed, and sleeps again."""
        client = self.here.logged_in(ASLEEP)
        client.send(f"<resume {SM} previd='{self.detached}' h='{self.counted}'/>")
        got = self._read(client)
        self._must(got and got[0].name[1] == "resumed", f"not resumed: {got[:1]}")
        self._must(_bodies(got)[-len(expected) :] == expected, f"resumed with {_bodies(got)[-3:]}")
        self.counted += sum(each.name[0] == "content" for each in got)
        client.send(f"<a {SM} h='{self.counted}'/>")
        self._must(not client.closed, "the resumed stream has ended")
        client.abort()

    def _come_back(self, resumed: list[str], anew: list[str]) -> None:
        """The sleeper after the restart: its session was saved, or its messages were stored."""
        if not anew:
            self._resume(resumed)
            return
        client = self.here.logged_in(ASLEEP)
        client.send(f"<resume {SM} previd='{self.detached}' h='{self.counted}'/>")
        self._must(b"failed" in client.raw(), "a session outlived a kill")
        client.abort()
        self.detached = self._to_sleep(ASLEEP)

    def _restart(self, *, killed: bool) -> None:
        for client in (self.live, self.friend, self.odd, self.service):
            client.raw()
        if killed:
            self.network.abort(HERE)
            self.here = self.here.again()
        else:
            self._stop()
            self.here = self.here.again()
        for network in (self.network, self.here.network):  # what was begun there ends there
            network.settle()
        self.network = federate(self.here, self.there)
        self._settle_down()
        for _ in range(RETRY_S):  # the servers may have to try again to reach each other
            for house in (self.here, self.there):
                house.clock.advance(1)
            self.network.settle()
        for client in (self.neighbour, self.unauthenticated):
            client.send(" ")  # it is still there
        self._must(not self.neighbour.closed, "the neighbour's stream has ended")
        self.neighbour.raw()

    def _stop(self) -> None:
        """The server stops in good order, as soon as clients and the neighbour have hung up."""
        stopping = self.here.stop()
        for _ in range(STOP_S):
            if not stopping.called:
                self.here.clock.advance(1)
                self.network.settle()
        self._must(stopping.called, "the server does not stop")
        done(stopping)

    def _look_at_a_login(self) -> None:
        """Who was away gets contacts, presences, requests and messages."""
        client = self.here.bind(AWAY)
        client.send(f"<iq type='get' id='roster'><query xmlns='{ns.ROSTER}'/></iq><presence/>")
        got = self._read(client)
        self._must(not client.closed, "the login of who was away has ended")
        senders = {(each.name[1], _attribute(each, "from")) for each in got}
        self._must(("presence", f"{FRIEND}@{HERE}/1") in senders, "no presence of a contact")
        (roster,) = (each for each in got if _attribute(each, "id") == "roster")
        contacts = {_attribute(each, "jid") for each in roster.all()}
        self._must(f"{FRIEND}@{HERE}" in contacts, "no contacts")
        ids = {_attribute(each, "id") for each in got if each.name[1] == "message"}
        self._must(self._waits <= ids, f"these did not come: {sorted(self._waits - ids)[:5]}")
        self._must("before" in _bodies(got), "what the friend said did not come")
        self._waits.clear()
        for each in got:  # so that all is deleted, and no request stays
            sender, id = _attribute(each, "from"), _attribute(each, "id")
            if _attribute(each, "type") == "subscribe":
                client.send(f"<presence to='{sender}' type='unsubscribed'/>")
            if each.name[1] == "iq" and sender == HERE:
                client.send(f"<iq type='result' id='{id}' to='{sender}'/>")
        self._read(client)
        client.send("</stream:stream>")

    def _read(self, client: Client, content: str = CLIENT) -> list[Meaning]:
        """What came, as plain expat reads it."""
        data = client.raw().removesuffix(b"</stream:stream>")
        try:
            return meanings(data, content)
        except ExpatError as error:
            raise Poisoned(
                f"seed {self.seed}, after {self.sent} stanzas: {client.jid} cannot read"
                f" what came: {error}: {data[-2_000:]!r}"
            ) from error


def _attribute(meant: Meaning, name: str) -> str:
    return meant.attributes.get(("", name), "")


def _bodies(got: list[Meaning]) -> list[str]:
    """What the friend said, of all that came."""
    return [
        text
        for each in got
        if _attribute(each, "from") == f"{FRIEND}@{HERE}/1"
        for inner in each.content
        if isinstance(inner, Meaning) and inner.name == ("content", "body")
        for text in inner.content
        if isinstance(text, str)
    ]


def main() -> None:
    """Do it for as many stanzas as are wished for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stanzas", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    options = parser.parse_args()
    began, total, seed = monotonic(), 0, options.seed
    while total < options.stanzas:
        town = Town(seed)
        for _ in range(ROUNDS_A_TOWN):
            town.round()
        total, seed = total + town.sent, seed + 1
        tell(f"{total} stanzas in {monotonic() - began:.0f} s, seeds {options.seed} to {seed - 1}")
    tell("nobody's stream ended but the sender's, and every login was complete")


def tell(line: str) -> None:
    """Say how it goes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
