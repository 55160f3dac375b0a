"""A command does the same whether it is given in the shell, by a form or by HTTP."""

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.api.api_client import Program, body_of
from tests.unit.ctl.offices import TURNS, Office
from xmppd.command.argument import Argument
from xmppd.command.audit import MASKED
from xmppd.command.command import Description
from xmppd.command.command_form import node_of
from xmppd.command.kinds import ArgumentKind, Flag, Number
from xmppd.command.refused import Refused
from xmppd.config.scopes import SCOPES
from xmppd.ctl.command_line import CommandLine, WantedCommand
from xmppd.ctl.commands import DESCRIPTIONS
from xmppd.stanza import Tree
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config
from xmppd_plugins.adhoc_commands import texts

NS = "http://jabber.org/protocol/commands"
FORM = "jabber:x:data"
ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
NOBODY, ELSEWHERE = "nobody@montague.lit", "romeo@elsewhere.lit"
ALL_WAYS = {name: about for name, about in DESCRIPTIONS.items()
             if about.needs != "file" and about.answers != "stream"}  # fmt: skip
SECRETS = ("rosebud", "moon", "xmppd_")
UNLIKE = {
    "stream", "device", "value", "way", "actor", "made_by", "address", "arguments", "used", "by",
    "sent", "messages", "presences", "iqs", "sent_bytes", "got", "got_bytes", "errors",
    "per_minute",
}  # fmt: skip
"""Columns whose values are different in every house, or by each way."""

OWN_MARK = re.compile(r'^(escalus@)?montague.lit(?= has signed)|"key":"[^"]*"')
"""Whoever signs a guestbook, which at the machine and by a key is the domain; a room's key."""

Answer = tuple[list[dict[str, list[str]]], list[str], str]
"""Rows, sentences, and why it was refused."""

# What each command is told, and what it is refused for; one after the other, in one house.
CASES: tuple[tuple[str, dict[str, str | list[str]]], ...] = (
    ("user add", {"account": "paris@montague.lit", "password": "rosebud"}),
    ("user add", {"account": "paris@montague.lit", "password": "rosebud"}),
    ("user add", {"account": ELSEWHERE, "password": "rosebud"}),
    ("user add", {"account": "tybalt@montague.lit", "password": "x" * 2_000}),
    ("user password", {"account": ROMEO, "password": "moon"}),
    ("user password", {"account": NOBODY, "password": "moon"}),
    ("user password", {"account": NOBODY, "generate": "true"}),
    ("user password", {"account": ROMEO}),
    ("user disable", {"account": [ROMEO, JULIET]}),
    ("user disable", {"account": [ROMEO, NOBODY]}),
    ("user disable", {"account": [ROMEO], "for": "2h"}),
    ("user disable", {"account": [ROMEO], "until": "2023-11-15T00:00:00Z"}),
    ("user disable", {"account": [ROMEO], "until": "2023-11-14T00:00:00Z"}),
    ("user disable", {"account": [ROMEO], "until": "today"}),
    ("user disable", {"account": [ROMEO], "until": "2023-11-15T00:00:00Z", "for": "1h"}),
    ("user show", {"account": [ROMEO]}),
    ("explain login", {"account": ROMEO}),
    ("user list", {"state": "disabled"}),
    ("user list", {"rows": "2"}),
    ("user list", {"domain": "elsewhere.lit"}),
    ("user list", {"rows": "0"}),
    ("user enable", {"account": [ROMEO, JULIET]}),
    ("user enable", {"account": [NOBODY]}),
    ("user unlock", {"account": [ROMEO]}),
    ("user unlock", {"account": [ELSEWHERE]}),
    ("announce", {"text": "The gates close at ten.", "subject": "Gates"}),
    ("announce", {"text": "x", "domain": "montague.lit"}),
    ("announce", {"text": "x", "domain": "elsewhere.lit"}),
    ("user online", {}),
    ("user online", {"state": "active", "rows": "1"}),
    ("user online", {"state": "asleep"}),
    ("user count", {"state": "online"}),
    ("user count", {"state": "asleep"}),
    ("user show", {"account": [ROMEO, "escalus@montague.lit"]}),
    ("user show", {"account": [NOBODY]}),
    ("cluster status", {}),
    ("cluster links", {}),
    ("cluster check", {}),
    ("cluster check", {"repair": "true"}),
    ("cluster balance", {}),
    ("session list", {}),
    ("session list", {"account": ELSEWHERE}),
    ("session show", {"jid": "escalus@montague.lit/1"}),
    ("session show", {"jid": "escalus@montague.lit/2"}),
    ("session end", {"jid": ["mercutio@montague.lit/2"], "reason": "go home", "revoke": "true"}),
    ("session end", {"jid": ["mercutio@montague.lit/2"]}),
    ("device list", {"account": "mercutio@montague.lit"}),
    ("device list", {"account": ELSEWHERE}),
    ("device revoke", {"account": "mercutio@montague.lit"}),
    ("device revoke", {"account": "mercutio@montague.lit", "device": "x"}),
    ("roster show", {"account": [ROMEO, JULIET]}),
    ("roster show", {"account": [NOBODY]}),
    ("roster add", {"account": ROMEO, "contact": "x@y.lit", "name": "X", "group": ["a", "b"]}),
    ("roster add", {"account": ROMEO, "contact": "paris@montague.lit", "mutual": "1"}),
    ("roster add", {"account": ROMEO, "contact": ELSEWHERE, "mutual": "1"}),
    ("roster add", {"account": ROMEO, "contact": ROMEO}),
    ("roster add", {"account": ROMEO, "contact": "x@y.lit", "group": ["a", "a"]}),
    ("roster remove", {"account": ROMEO, "contact": "x@y.lit"}),
    ("roster remove", {"account": ROMEO, "contact": "x@y.lit"}),
    ("group save", {"group": "g", "display": "G", "add": [ROMEO, JULIET], "visible_to": "members"}),
    ("group save", {"group": "g", "remove": [JULIET]}),
    ("group save", {"group": "g", "add": [NOBODY]}),
    ("group save", {"group": "g", "also": ["h"]}),
    ("group join", {"account": JULIET, "group": "g"}),
    ("group join", {"account": JULIET, "group": "g"}),
    ("group join", {"account": NOBODY, "group": "g"}),
    ("group join", {"account": ROMEO, "group": "h"}),
    ("group list", {"account": JULIET}),
    ("group leave", {"account": JULIET, "group": "g"}),
    ("group leave", {"account": JULIET, "group": "g"}),
    ("group list", {}),
    ("block add", {"account": ROMEO, "jid": [JULIET, "elsewhere.lit"]}),
    ("block add", {"account": ROMEO, "jid": [ROMEO]}),
    ("block add", {"account": NOBODY, "jid": [ROMEO]}),
    ("block list", {"account": ROMEO}),
    ("privacy list", {"account": ROMEO}),
    ("privacy default", {"account": ROMEO}),
    ("privacy default", {"account": ROMEO, "name": "blocked"}),
    ("privacy default", {"account": ROMEO, "name": "x"}),
    ("block remove", {"account": ROMEO, "jid": ["elsewhere.lit"]}),
    ("block remove", {"account": ROMEO, "jid": ["elsewhere.lit"]}),
    ("privacy delete", {"account": ROMEO, "name": "blocked", "dry_run": "true"}),
    ("privacy delete", {"account": ROMEO, "name": "blocked"}),
    ("privacy delete", {"account": ROMEO, "name": "blocked"}),
    ("block list", {"account": NOBODY}),
    ("group delete", {"group": "g", "dry_run": "true"}),
    ("group delete", {"group": "g"}),
    ("group delete", {"group": "g"}),
    ("s2s list", {}),
    ("s2s close", {"domain": "elsewhere.lit"}),
    ("s2s close", {"domain": "a..b"}),
    ("s2s why", {"domain": "elsewhere.lit"}),
    ("component list", {}),
    ("log list", {}),
    ("log list", {"level": "loud"}),
    ("console link", {"account": NOBODY}),
    ("console link", {"account": ROMEO}),
    ("console link", {"account": "escalus@montague.lit", "page": "account"}),
    ("key add", {"name": "deploy", "scope": ["accounts:write"], "expires": "90d"}),
    ("key add", {"name": "deploy", "role": "operator"}),
    ("key add", {"name": "Deploy!", "role": "operator"}),
    ("key add", {"name": "watch"}),
    ("key add", {"name": "watch", "scope": ["accounts:fly"]}),
    ("key list", {}),
    ("key revoke", {"name": "deploy", "dry_run": "true"}),
    ("key revoke", {"name": "deploy"}),
    ("key revoke", {"name": "deploy", "dry_run": "true"}),
    ("key revoke", {"name": "deploy"}),
    ("audit list", {}),
    ("audit list", {"words": "user", "before": "3", "rows": "2"}),
    ("job list", {}),
    ("job show", {"job": "x"}),
    ("job cancel", {"job": "x"}),
    ("job cancel", {"job": "x", "dry_run": "true"}),
    ("report list", {}),
    ("report list", {"domain": "elsewhere.lit"}),
    ("explain presence", {"owner": ROMEO, "watcher": JULIET}),
    ("explain presence", {"owner": "montague.lit", "watcher": JULIET}),
    ("explain message", {"sender": ROMEO, "to": JULIET, "type": "headline"}),
    ("explain message", {"sender": ROMEO, "to": JULIET, "type": "shout"}),
    ("explain login", {"account": ROMEO}),
    ("explain login", {"account": NOBODY}),
    ("explain session", {"jid": ROMEO}),
    ("explain session", {"jid": NOBODY}),
    ("top senders", {}),
    ("top senders", {"by": "account", "of": "bytes", "minutes": "10", "rows": "3"}),
    ("top senders", {"by": "shoe-size"}),
    ("top stages", {}),
    ("top presence", {}),
    ("top presence", {"by": "software", "minutes": "2", "rows": "1"}),
    ("top presence", {"minutes": "1000"}),
    ("plugin load", {"plugin": "ping"}),
    ("plugin load", {"plugin": "ping"}),
    ("plugin load", {"plugin": "pong"}),
    ("plugin list", {}),
    ("plugin reload", {"plugin": "ping"}),
    ("plugin unload", {"plugin": "ping"}),
    ("plugin unload", {"plugin": "ping"}),
    ("db sizes", {}),
    ("offline list", {"account": JULIET}),
    ("offline list", {"account": NOBODY}),
    ("offline delete", {"account": JULIET, "id": "7"}),
    ("offline delete", {"account": JULIET, "id": "all"}),
    ("db quarantine list", {}),
    ("db quarantine show", {"number": "1"}),
    ("db quarantine show", {"number": "x"}),
    ("db quarantine delete", {"number": "all"}),
    ("db quarantine delete", {"number": "7"}),
    ("certificate list", {}),
    ("certificate renew", {"domain": "montague.lit"}),
    ("certificate renew", {"domain": "elsewhere.lit"}),
    ("config file", {}),
    ("config plan", {"text": "log.level = 'debug'"}),
    ("config plan", {"text": "log.level = 'loud'"}),
    ("config apply", {"text": "log.level = 'debug'"}),
    ("config apply", {"text": "log.level = 'loud'", "known": "x"}),
    ("status", {}),
    ("stats", {}),
    ("reload", {}),
    ("user delete", {"account": ["paris@montague.lit"], "dry_run": "1"}),
    ("user delete", {"account": ["paris@montague.lit"]}),
    ("user delete", {"account": ["paris@montague.lit"]}),
    ("stop", {"dry_run": "true"}),
    ("stop", {}),
)


# The same for commands of plugins.
PLUGINS = (
    "adhoc_commands", "pubsub", "muc", "pep", "archive", "push", "room_archive", "http_upload",
    "guestbook", "example_greeter", "faults", "vcard",
)  # fmt: skip
ROOM, SERVICE = "orchard@conference.montague.lit", "pubsub.montague.lit"
PLUGIN_CASES: tuple[tuple[str, dict[str, str | list[str]]], ...] = (
    ("archive check", {}),
    ("archive show", {"account": ROMEO}),
    ("archive show", {"account": ELSEWHERE}),
    ("archive export", {"account": ROMEO}),
    ("archive delete", {"account": ROMEO, "dry_run": "true"}),
    ("archive delete", {"account": ROMEO, "before": "2026-10-31T12:00:00Z", "with": JULIET}),
    ("archive delete", {"account": ROMEO, "before": "yesterday"}),
    ("archive expire", {"dry_run": "true"}),
    ("archive expire", {}),
    ("archive import", {"account": ROMEO, "file": "/nowhere"}),
    ("explain event", {"owner": ROMEO, "watcher": JULIET, "node": "urn:x"}),
    ("greeting change", {"greeting": "Hail!"}),
    ("greeting change", {"greeting": " "}),
    ("guestbook sign", {"account": ROMEO, "words": "Ay me!"}),
    ("guestbook sign", {"account": NOBODY, "words": "Ay me!"}),
    ("guestbook list", {"account": ROMEO}),
    ("guestbook list", {"account": ROMEO, "before": "0"}),
    ("guestbook erase", {"account": ROMEO, "number": "1", "dry_run": "true"}),
    ("guestbook erase", {"account": ROMEO}),
    ("pubsub nodes", {"service": SERVICE}),
    ("pubsub nodes", {"service": "montague.lit"}),
    ("pubsub config", {"service": ROMEO, "node": "urn:x"}),
    ("pubsub items", {"service": SERVICE, "node": "urn:x", "most": "3"}),
    ("pubsub delete", {"service": SERVICE, "node": "urn:x"}),
    ("pubsub export", {"account": ROMEO}),
    ("pubsub import", {"account": ROMEO, "file": "/nowhere"}),
    ("push list", {"account": ROMEO}),
    ("room create", {"room": ROOM, "owner": ROMEO}),
    ("room create", {"room": ROOM, "owner": ROMEO}),
    ("room create", {"room": "orchard@elsewhere.lit", "owner": ROMEO}),
    ("room list", {}),
    ("room list", {"orphans": "true"}),
    ("room show", {"room": ROOM}),
    ("room config", {"room": ROOM, "set": ["maxusers=50", "roomsecret=rosebud"]}),
    ("room config", {"room": ROOM, "set": ["rosebud"]}),
    ("room affiliation", {"room": ROOM, "person": JULIET, "affiliation": "admin"}),
    ("room affiliation", {"room": ROOM, "person": JULIET, "affiliation": "king"}),
    ("room kick", {"room": ROOM, "nick": "nobody"}),
    ("room announce", {"text": "The watch is coming!"}),
    ("explain room", {"room": ROOM, "person": JULIET}),
    ("room archive", {"room": ROOM}),
    ("room export", {"room": ROOM}),
    ("room import", {"file": "/nowhere"}),
    ("room destroy", {"room": ROOM, "dry_run": "true"}),
    ("room destroy", {"room": ROOM, "reason": "it is late"}),
    ("room destroy", {"room": ROOM}),
    ("vcard show", {"account": ROMEO}),
    ("vcard set", {"account": ROMEO, "name": "Romeo M.", "email": "romeo@x.lit"}),
    ("vcard set", {"account": ROMEO, "remove": ["email"]}),
    ("vcard set", {"account": ROMEO, "remove": ["face"]}),
    ("vcard set", {"account": ROMEO}),
    ("vcard set", {"account": NOBODY, "name": "Nobody"}),
    ("vcard show", {"account": ROMEO}),
    ("vcard delete", {"account": ROMEO, "dry_run": "true"}),
    ("vcard delete", {"account": ROMEO}),
    ("vcard delete", {"account": ROMEO}),
    ("upload list", {"account": ROMEO}),
    ("upload delete", {"account": ROMEO, "id": "ab"}),
    ("upload delete", {"account": ROMEO, "id": "all", "dry_run": "true"}),
    ("upload delete", {"account": ROMEO, "id": "all"}),
    ("upload sizes", {}),
    ("upload expire", {"dry_run": "true"}),
    ("upload expire", {}),
    ("fault login", {"address": ROMEO, "condition": "not-authorized", "text": "not today"}),
    ("fault login", {"address": ROMEO, "condition": "out-of-mood"}),
    ("fault iq", {"address": ROMEO, "namespace": "urn:x", "condition": "gone", "times": "2"}),
    ("fault token", {"address": ELSEWHERE}),
    ("fault offline", {"address": JULIET}),
    ("fault store", {"milliseconds": "0"}),
    ("fault certificate", {"address": "montague.lit"}),
    ("fault outage", {"address": "elsewhere.lit"}),
    ("fault drop", {"address": "mercutio@montague.lit/1", "element": "message"}),
    ("fault delay", {"address": NOBODY, "milliseconds": "5"}),
    ("fault split", {"address": NOBODY}),
    ("fault freeze", {"address": "mercutio@montague.lit/1", "at": "inside", "direction": "sent"}),
    ("fault list", {}),
    ("fault cut", {"address": "mercutio@montague.lit/1"}),
    ("fault cut", {"address": NOBODY}),
    ("fault end", {"address": "mercutio@montague.lit/2", "condition": "conflict"}),
    ("fault end", {"address": "mercutio@montague.lit/2", "condition": "see-other-host"}),
    ("fault clear", {"address": NOBODY}),
    ("fault clear", {}),
    ("seen list", {"address": "romeo@montague.lit/2", "direction": "got", "last": "3"}),
    ("seen list", {"address": ROMEO, "direction": "up"}),
    ("seen wait", {"address": ROMEO, "seconds": "100"}),
)
AT_THE_MACHINE = {"archive import", "pubsub import", "room import"}
"""Commands that read a file there, and are refused by each other way."""

NOT_BY_FORM = {"archive export", "pubsub export", "room export", "room archive"}
"""Commands that show what people write: an administrator has them at the machine, or by a key."""


class Town:
    """A house with an administrator in it, and others."""

    def __init__(
        self,
        plugins: tuple[str, ...] = ("adhoc_commands",),
        **tables: Mapping[str, object] | Sequence[Mapping[str, object]],
    ) -> None:
        self.house = House(
            config=replace(
                house_config("montague.lit", **tables), admins=("escalus@montague.lit",)
            ),
            plugins=plugins,
            escalus={},
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            mercutio={},
        )
        self.office = Office(self.house)
        self.program = Program(self.house)
        self.seen = 0
        self.clients = self.house.connect("escalus", "romeo", "mercutio/1", "mercutio/2")

    def about(self, name: str) -> Description:
        """The description of a command."""
        return self.house.server.commands.commands[name].about

    def audited(self) -> list[tuple[str, str]]:
        """The commands that were written down since the last look, with their outcomes."""
        entries = done(self.house.store.audit.entries(before=10**9, limit=1_000))
        for entry in entries:
            assert not any(secret in repr(entry) for secret in SECRETS), entry
        seen, self.seen = self.seen, len(entries)
        return [(entry.command, entry.outcome) for entry in reversed(entries)][seen:]

    def heard(self) -> list[tuple[bytes, bool]]:
        """What everybody but the administrator has heard, and whether they are still here."""
        return [(client.raw(), client.closed) for client in self.clients[1:]]


class Shell:
    """Gives commands in the shell."""

    def __init__(self, town: Town | None = None) -> None:
        self.town = town or Town()

    def give(self, name: str, given: dict[str, str | list[str]]) -> Answer:
        """Give one, and note what comes of it."""
        about = self.town.about(name)
        flags = {argument.key for argument in about.arguments if isinstance(argument.kind, Flag)}
        told = {key: True if key in flags else value for key, value in given.items()}
        try:
            replies = self.town.office.replies(name, **told)
        except Refused as error:
            return [], [], str(error)
        rows = [
            {column: texts(value) for column, value in reply.items()}
            for reply in replies
            if not isinstance(reply, str)
        ]
        return rows, [f"{reply}." for reply in replies if isinstance(reply, str)], ""


class Forms:
    """Gives them by a form."""

    def __init__(self, town: Town | None = None) -> None:
        self.town = town or Town()

    def ask(self, name: str, inside: str = "", session: str = "", action: str = "execute") -> Tree:
        """Ask for a command, or go on with it."""
        named = f" sessionid='{session}' action='{action}'" if session else ""
        request = f"<command xmlns='{NS}' node='{node_of(name)}'{named}>{inside}</command>"
        client = self.town.clients[0]
        client.raw()
        client.send(f"<iq type='set' id='a' to='montague.lit'>{request}</iq>")
        self.town.house.clock.pump([0.0] * TURNS)
        (answer,) = [each for each in client.received() if each.startswith("<iq")]
        return ElementTree.fromstring(answer)

    def give(self, name: str, given: dict[str, str | list[str]]) -> Answer:
        """Fill one in, and note what comes of it."""
        answer = self.ask(name)
        if answer.find(f"*/{{{FORM}}}x[@type='form']") is not None:
            session = answer[0].get("sessionid", "")
            answer = self.ask(name, "".join(filled(given)), session)
        error = answer.find("error/{urn:ietf:params:xml:ns:xmpp-stanzas}text")
        if error is not None:
            return [], [], error.text or ""
        note = answer.findtext(f".//{{{NS}}}note") or ""
        rows = list(shown(answer))
        while answer.find(f".//{{{NS}}}next") is not None:
            answer = self.ask(name, action="next", session=answer[0].get("sessionid", ""))
            rows += shown(answer)
        return rows, note.splitlines(), ""


class Programs:
    """Gives them by HTTP."""

    def __init__(self, town: Town | None = None) -> None:
        self.town = town or Town()

    def give(self, name: str, given: dict[str, str | list[str]]) -> Answer:
        """Ask for one, and note what comes of it."""
        kinds = {argument.key: argument.kind for argument in self.town.about(name).arguments}
        told = {key: in_json(kinds[key], value) for key, value in given.items()}
        answer = self.town.program.post(name, told)
        body = body_of(answer)
        if answer.status != 200:
            return [], [], body["detail"].removesuffix(".")
        rows = [{key: texts(value) for key, value in row.items()} for row in body["rows"]]
        return rows, [f"{note}." for note in body["notes"]], ""


def in_json(kind: ArgumentKind, value: str | list[str]) -> object:
    """A value as a program says it."""
    if isinstance(value, list):
        return value
    if isinstance(kind, Flag):
        return value in ("1", "true")
    return int(value) if isinstance(kind, Number) else value


def filled(given: dict[str, str | list[str]]) -> Iterator[str]:
    """A form that is filled in."""
    yield f"<x xmlns='{FORM}' type='submit'>"
    for var, values in given.items():
        yield f"<field var='{var}'>"
        yield from (
            f"<value>{v}</value>" for v in ([values] if isinstance(values, str) else values)
        )
        yield "</field>"
    yield "</x>"


def shown(answer: Tree) -> Iterator[dict[str, list[str]]]:
    """The rows of a result."""
    for item in answer.iter(f"{{{FORM}}}item"):
        yield {field.get("var", ""): [value.text or "" for value in field] for field in item}
    for value in answer.findall(f".//{{{FORM}}}field[@var='says']/{{{FORM}}}value"):
        yield {"says": [value.text or ""]}


def alike(about: Description, answer: Answer) -> Answer:
    """An answer without what is different in every house."""
    rows, notes, refused = answer
    if about.name == "stats":  # what errors there were, they tell apart
        rows = [row for row in rows if "{" not in row["statistic"][0]]
    notes = [OWN_MARK.sub("", note) for note in notes]
    only = {"says"} if about.answers in ("sentences", "document") else set[str]()
    rows = [
        {
            key: value
            for key, value in row.items()
            if key not in UNLIKE and (not only or key in only) and not is_key(value)
        }
        for row in rows
    ]
    return rows, notes, refused


def is_key(value: list[str]) -> bool:
    """Whether a value is an API key, which is another one each time."""
    return any(text.startswith("xmppd_") for text in value)


class SameTests(SynchronousTestCase):
    def test_same_arguments(self) -> None:
        """Form and command line ask for the same, each required or not, with the same choices."""
        forms = Forms()
        for name, about in ALL_WAYS.items():
            with self.subTest(name):
                answer = forms.ask(name) if about.arguments else None
                fields = [] if answer is None else list(answer.iter(f"{{{FORM}}}field"))[1:]
                asked = [
                    (
                        field.get("var"),
                        field.find(f"{{{FORM}}}required") is not None,
                        [option.text for option in field.iterfind(f"*/{{{FORM}}}value")],
                    )
                    for field in fields
                ]
                self.assertEqual(asked, [self.on_command_line(about, a) for a in about.arguments])

    def on_command_line(
        self, about: Description, argument: Argument
    ) -> tuple[str, bool, list[str]]:
        """How xmppctl asks for an argument."""
        words = about.name.split()
        needed = [each for each in about.arguments if each.required and not each.secret]
        without = [*words, *("x" for each in needed if each is not argument)]
        line = CommandLine({about.name: about})
        if argument.secret:
            asked = line.read(without, 80)
            is_asked_for = isinstance(asked, WantedCommand) and asked.secret is argument
            required = is_asked_for and not argument.unless
        else:
            try:
                line.read(without, 80)
                required = False
            except Refused:
                required = True
        return argument.key, required, list(argument.kind.choices)

    def test_same_effect_and_error(self) -> None:
        """Each command answers, does, and refuses the same, and is written down once; each is
        tried, and most are refused.
        """
        self.assertEqual({name for name, _ in CASES}, set(ALL_WAYS))
        shell, forms, programs = Shell(), Forms(), Programs()
        self.compare(CASES, shell, forms, programs)
        for way in (shell, forms, programs):
            self.assertTrue(way.town.office.life.stopped)

    def test_plugins(self) -> None:
        """So does each command of a plugin, which does nothing for that."""
        listen = [{"endpoint": "epoll:0:interface=127.0.0.1", "kind": "http", "tls": "direct"}]
        files = self.mktemp()
        towns = [
            Town(
                PLUGINS,
                listen=listen,
                web={"url": "https://x.lit"},
                http_upload={"directory": files, "min_free_bytes": 0},
            )
            for _ in range(3)
        ]
        known = set(towns[0].house.server.commands.commands)
        self.assertEqual({name for name, _ in PLUGIN_CASES}, known - set(DESCRIPTIONS))
        self.compare(PLUGIN_CASES, Shell(towns[0]), Forms(towns[1]), Programs(towns[2]))

    def compare(
        self,
        cases: Sequence[tuple[str, dict[str, str | list[str]]]],
        shell: Shell,
        *others: Forms | Programs,
    ) -> None:
        """Give commands by all ways."""
        for name, given in cases:
            with self.subTest(name, given=given):
                about = shell.town.about(name)
                in_shell = alike(about, shell.give(name, given))
                heard, audited = shell.town.heard(), shell.town.audited()
                self.assert_audited(about, given, in_shell, audited)
                for other in others:
                    answer = alike(about, other.give(name, given))
                    is_form = isinstance(other, Forms)
                    if name in AT_THE_MACHINE or (is_form and name in NOT_BY_FORM):
                        self.assertNotEqual(answer[2], "")
                        other.town.audited()
                        continue
                    self.assertEqual(in_shell, answer)
                    self.assertEqual(heard, other.town.heard())
                    self.assertEqual(audited, other.town.audited())

    def assert_audited(
        self,
        about: Description,
        given: dict[str, str | list[str]],
        answer: Answer,
        audited: list[tuple[str, str]],
    ) -> None:
        """What changes something is written down once, with what came of it."""
        refused = answer[2]
        if about.effect == "reads" or not about.audited or "dry_run" in given:
            self.assertEqual(audited, [])
        elif not refused:
            self.assertEqual(audited, [(about.name, "done")])
        elif audited:  # what was refused before it began is not there
            self.assertEqual(
                audited, [(about.name, f"refused: {refused.replace('rosebud', MASKED)}")]
            )

    def test_not_the_same(self) -> None:
        """What differs is meant: nobody deletes the account they ask from, or ends that client."""
        forms = Forms()
        for name in ("user delete", "user disable"):
            _, _, refused = forms.give(name, {"account": ["escalus@montague.lit"]})
            self.assertEqual(refused, "you cannot do this to your own account")
        forms.give("user password", {"account": "escalus@montague.lit", "password": "moon"})
        forms.give("device revoke", {"account": "escalus@montague.lit"})
        self.assertFalse(forms.town.clients[0].closed)


class ScopeTests(SynchronousTestCase):
    def test_lacking(self) -> None:
        """Who lacks the scope of a command is refused by the same sentence, whichever way."""
        forms = Forms()
        forms.town.clients[0] = forms.town.clients[1]
        for name, about in ALL_WAYS.items():
            scopes = set(SCOPES) - {about.scope}
            program = Program(forms.town.house, *scopes, name=name.replace(" ", "-"))
            with self.subTest(name):
                answer = program.post(name, {})
                problem = body_of(answer)
                self.assertEqual((answer.status, problem["scope"]), (403, about.scope))
                self.assertIn(
                    f"administrator rights or the scope {about.scope}.", problem["detail"]
                )
                if about.who == "admins":
                    _, _, refused = forms.give(name, {})
                    self.assertEqual(f"{refused}.", problem["detail"])


class OwnerTests(SynchronousTestCase):
    def test_own_account(self) -> None:
        """Who is no administrator is not asked for an account, and gets the own one."""
        forms = Forms()
        forms.town.clients[0], mercutio = forms.town.clients[2], forms.town.clients[2]
        self.assertEqual(len(forms.give("device list", {"account": ROMEO})[0]), 2)
        self.assertIn("needs administrator rights", forms.give("session list", {})[2])
        self.assertFalse(mercutio.closed)

    def test_secrets(self) -> None:
        """A password is hidden while it is typed."""
        answer = Forms().ask("user add")
        field = answer.find(f".//{{{FORM}}}field[@var='password']")
        assert field is not None
        self.assertEqual(field.get("type"), "text-private")
