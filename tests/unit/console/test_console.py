"""The console: what its pages say, what its forms do, and who may see and do which."""

import csv
import io
import json
import re
from html import unescape
from urllib.parse import quote, unquote

from twisted.internet.task import deferLater

from tests.unit.console.console_case import ADMIN, NURSE, PASSWORD, ROMEO, ConsoleCase
from tests.unit.pages.browser import Browser, seen
from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import SHELL, CommandContext
from xmppd.command.kinds import Flag, Number
from xmppd.command.reply import Replies, Row
from xmppd.console.console import MAX_COMMANDS
from xmppd.console.endless_commands import MAX_STREAMS
from xmppd.console.live import MAX_WINDOWS
from xmppd.console.shown import Heard
from xmppd.pages.page import Page, Panel
from xmppd.pages.visitors import PROOF_S
from xmppd.stanza import JID
from xmppd.testing.client import done
from xmppd.testing.web import WebClient


class Dance(Row, frozen=True):
    """A dance."""

    name: str
    long_s: int
    steps: list[str]


class PageTests(ConsoleCase):
    plugins = ("vcard",)

    def test_overview(self) -> None:
        """The overview has numbers, and what was done last."""
        self.house.bind("romeo", "orchard")
        self.admin.post("/console/do/user/disable", {"account": ROMEO})
        page = seen(self.admin.get("/console/"))
        self.assertIn("Sessions", page)
        self.assertIn("user disable", page)
        self.assertIn(f"{ADMIN} · console", page)

    def test_one_user(self) -> None:
        """A user's page has all about one, and only about that one."""
        self.house.bind("romeo", "orchard")
        self.house.bind("nurse", "kitchen")
        page = seen(self.admin.get(f"/console/user?account={ROMEO}"))
        for word in ("Sessions", "Devices", "Contacts", f"{ROMEO}/orchard", "Delete…", "Password"):
            self.assertIn(word, page)
        self.assertNotIn("kitchen", page)

    def test_acts(self) -> None:
        """What may be done stands where it belongs: above a panel for the account, in a row for
        what the row has; it is filled in with what is known.
        """
        self.give("group save", group="house")
        for name, given in (
            ("group join", {"group": "house"}),
            ("block add", {"jid": "x@y.lit"}),
            ("vcard set", {"name": '"><script>ran()</script>', "note": "=HYPERLINK()"}),
        ):
            self.give(name, account=ROMEO, **given)
        page = self.admin.get(f"/console/user?account={ROMEO}").text
        for label, path in (
            ("Add: Contacts", f"roster/add?account={quote(ROMEO)}"),
            ("Join: Shared groups", f"group/join?account={quote(ROMEO)}"),
            ("Add: Blocked", f"block/add?account={quote(ROMEO)}"),
            ("Delete…: vCard", f"vcard/delete?account={quote(ROMEO)}"),
        ):
            link = re.search(f'href="([^"]*)" aria-label="{label}"', page)
            assert link is not None, label
            self.assertIn(path, unescape(link[1]))
        for path in ("group/leave?group=house", "block/remove?jid=x%40y.lit"):
            self.assertIn(f"/console/do/{path}&account={quote(ROMEO)}&", unescape(page))
        self.assertNotIn("<script>ran", page)
        found = re.search('href="([^"]*)" aria-label="Set: vCard"', page)
        assert found is not None
        form = self.admin.get(unescape(found[1])).text
        self.assertIn('value="&#34;&gt;&lt;script&gt;ran()&lt;/script&gt;"', form)
        self.assertIn('value="=HYPERLINK()"', form)
        self.assertIn('type="checkbox" name="remove" value="photo"', form)
        answer = self.admin.post(
            "/console/do/vcard/set", {"account": ROMEO, "name": "Romeo", "remove": "note"}
        )
        self.assertIn("was changed", seen(self.admin.follow(answer)))

    def give(self, name: str, /, **given: object) -> None:
        """Give a command that answers in sentences."""

        async def run() -> None:
            table = self.house.server.commands
            replies = table.replies(*table.asked(name, given, SHELL))
            self.assertEqual([each async for each in replies if not isinstance(each, str)], [])

        done(run())

    def test_disable_until(self) -> None:
        """A moment is chosen as browsers have it, in UTC; who is out until then is shown so."""
        form = self.admin.get(f"/console/do/user/disable?account={ROMEO}").text
        self.assertIn('type="datetime-local" step="1"', form)
        until, back = "2023-11-15T09:30", f"/console/user?account={ROMEO}"
        for wrong in ('"><script>', "2023-11-31T09:30", "2022-11-15T09:30", "x" * 10_001):
            told = {"account": ROMEO, "until": wrong}
            self.assertEqual(self.admin.post("/console/do/user/disable", told).status, 400)
        told = {"account": ROMEO, "until": until, "back": back}
        answer = self.admin.post("/console/do/user/disable", told)
        self.assertIn(f"disabled until {until}:00Z", seen(self.admin.follow(answer)))
        self.assertIn("Disabled until 2023-11-15 09:30", seen(self.admin.get(back)))
        self.assertIn("2023-11-15T09:30:00Z", seen(self.admin.get("/console/audit")))
        answer = Browser(self.house).log_in("/console/", ROMEO, PASSWORD)
        self.assertIn("This account is closed until 2023-11-15 09:30 UTC.", seen(answer))
        answer = Browser(self.house).log_in("/console/", ROMEO, "a guess")
        self.assertIn("Wrong address or password.", seen(answer))
        form = self.admin.get(f"/console/do/user/disable?until={until}:30Z").text
        self.assertIn(f'value="{until}:30"', form)

    def test_terminal(self) -> None:
        """Every page says the same as a line for a terminal."""
        page = seen(self.admin.get(f"/console/user?account={ROMEO}"))
        self.assertIn(f"xmppctl session list --account {ROMEO}", page)
        page = seen(self.admin.get("/console/do/user/add?account=o'neil@montague.lit"))
        self.assertIn("""xmppctl user add 'o'"'"'neil@montague.lit' --stdin""", page)

    def test_why(self) -> None:
        """Why somebody is not seen: the outcome, what decides, and what it follows from."""
        answer = self.admin.get(f"/console/why?owner={ROMEO}&watcher={NURSE}")
        page = seen(answer)
        self.assertIn(f"{NURSE} sees nothing of {ROMEO}", page)
        self.assertIn("decided by", page)
        self.assertIn('class="panel verdict not"', answer.text)
        page = seen(self.admin.get("/console/why?owner=%40&watcher=x"))
        self.assertIn("is not an address", page)

    def test_search(self) -> None:
        """An account is found by its name, and so are pages and commands."""
        answer = self.admin.get("/console/find?q=romeo")
        self.assertEqual(answer.headers["Location"], f"/console/user?account={quote(ROMEO)}")
        page = seen(self.admin.get("/console/find?q=session"))
        self.assertIn("Page Sessions", page)
        self.assertIn("session end:", page)
        self.assertIn("Nothing here", seen(self.admin.get("/console/find?q=%22%3E")))

    def test_plugin(self) -> None:
        """A plugin's page is in the menu while it is there, for those who may give its command."""
        command = Description("dance list", "the dances", area="rooms")
        pages, commands = self.house.server.console_pages, self.house.server.commands

        async def dances(context: CommandContext) -> Replies:
            yield Dance("galliard", 90, ["cinque", "pas"])

        undo = [
            commands.put(Command(command, dances, (Dance,)), "ball"),
            pages.put(Page(path="dances", title="Dances", place="People"), "ball"),
            pages.put(Panel(page="dances", title="All", command="dance list", each=()), "ball"),
            pages.put(Panel(page="user", title="Danced", command="dance list"), "ball"),
        ]
        self.assertIn("Dances", seen(self.admin.get("/console/")))
        page = seen(self.admin.get("/console/dances"))
        for word in ("galliard", "1 min 30 s", "cinque", "xmppctl dance list"):
            self.assertIn(word, page)
        self.assertIn("Danced", seen(self.admin.get(f"/console/user?account={ROMEO}")))
        for take_out in undo:
            take_out()
        self.assertNotIn("Dances", seen(self.admin.get("/console/")))
        self.assertEqual(self.admin.get("/console/dances").status, 404)


class CommandTests(ConsoleCase):
    def test_changes(self) -> None:
        """What a form says is done, once, and written down; then one is where one was."""
        back = f"/console/user?account={ROMEO}"
        answer = self.admin.post("/console/do/user/disable", {"account": ROMEO, "back": back})
        self.assertEqual(answer.headers["Location"], back)
        self.assertIn(f"{ROMEO} was disabled", seen(self.admin.follow(answer)))
        self.assertNotIn("was disabled", seen(self.admin.get(back)))
        entry = seen(self.admin.get("/console/audit"))
        self.assertIn("user disable", entry)
        self.assertIn("console", entry)
        self.assertEqual(self.admin.get(f"/console/do/user/enable?account={ROMEO}").status, 200)
        known = done(self.house.store.accounts.credentials(ROMEO))
        assert known is not None
        self.assertTrue(known.disabled)

    def test_secret(self) -> None:
        """A password is neither shown again nor written down."""
        given = {"account": "paris@montague.lit", "password": "s3cr3t words"}
        self.assertEqual(self.admin.post("/console/do/user/add", given).status, 303)
        again = self.admin.post("/console/do/user/add", given)
        self.assertEqual(again.status, 409)
        for answer in (again, self.admin.get("/console/audit"), self.admin.get("/console/")):
            self.assertNotIn("s3cr3t", answer.text)
            self.assertIn("paris@montague.lit", answer.text)

    def test_refused(self) -> None:
        """What is refused is said above the form, which has what was filled in."""
        answer = self.admin.post("/console/do/roster/add", {"account": ROMEO, "contact": "@"})
        self.assertEqual(answer.status, 400)
        self.assertIn('"@" is not an address', seen(answer))
        self.assertIn(f'value="{ROMEO}"', answer.text)
        self.assertIn('aria-invalid="true"', answer.text)

    def test_ends(self) -> None:
        """What ends something is asked again, with what would happen; then it is done."""
        answer = self.admin.post("/console/do/user/delete", {"account": ROMEO})
        self.assertIn(f"{ROMEO} would be deleted", seen(answer))
        self.assertTrue(done(self.house.store.accounts.exists(ROMEO)))
        given = {"account": ROMEO, "confirmed": "1"}
        self.assertEqual(self.admin.post("/console/do/user/delete", given).status, 303)
        self.assertFalse(done(self.house.store.accounts.exists(ROMEO)))

    def test_ends_later(self) -> None:
        """Some time after the login it asks for the password as well."""
        self.house.clock.advance(PROOF_S)
        answer = self.admin.post("/console/do/user/delete", {"account": ROMEO})
        self.assertIn("Your password", seen(answer))
        for password in ("", "wrong"):
            given = {"account": ROMEO, "confirmed": "1", "password": password}
            answer = self.admin.post("/console/do/user/delete", given)
            self.assertEqual(answer.status, 400)
            self.assertTrue(done(self.house.store.accounts.exists(ROMEO)))
        given["password"] = PASSWORD
        self.assertEqual(self.admin.post("/console/do/user/delete", given).status, 303)
        self.assertFalse(done(self.house.store.accounts.exists(ROMEO)))

    def test_every_command(self) -> None:
        """Every command has a form the day it exists, with a field for each argument."""
        seen_by = self.admin.get("/console/do/").text
        for name, command in self.house.server.commands.commands.items():
            form = self.admin.get(f"/console/do/{name.replace(' ', '/')}")
            self.assertIn(form.status, (200, 404), name)
            if form.status == 404:
                continue  # it reads a file of the server's machine
            self.assertIn(f">{name}<", seen_by)
            if command.about.effect == "reads" and not command.about.arguments:
                continue
            for argument in command.about.arguments:
                if argument != DRY_RUN:
                    self.assertIn(f'name="{argument.key}"', form.text, name)

    def test_kinds(self) -> None:
        """Several values stand on lines of their own, a flag is ticked, a number is one."""
        told: list[object] = []

        async def run(context: CommandContext) -> Replies:
            told.append(dict(context.given))
            yield "it was done"

        about = Description(
            "dance begin", "dance",
            (Argument("--step", "each", most=3), Argument("--loud", "", Flag()),
             Argument("--rounds", "", Number(1, 9))),
            "changes",
        )  # fmt: skip
        self.house.server.commands.put(Command(about, run), "ball")
        form = {"step": " one\n\n two ", "loud": "1", "rounds": " 3 "}
        self.assertEqual(self.admin.post("/console/do/dance/begin", form).status, 303)
        self.assertEqual(told, [{"step": ["one", "two"], "loud": "1", "rounds": "3"}])
        for wrong in ({"rounds": "10"}, {"step": "1\n2\n3\n4"}, {"loud": "perhaps"}):
            self.assertEqual(self.admin.post("/console/do/dance/begin", wrong).status, 400)
        self.assertEqual(len(told), 1)

    def test_rows_of_a_change(self) -> None:
        """What is answered once, such as a key, is shown at once."""
        answer = self.admin.post("/console/do/key/add", {"name": "deploy", "role": "operator"})
        self.assertEqual(answer.status, 200)
        self.assertIn("xmppd_", seen(answer))

    def test_file(self) -> None:
        """A table is there as a file, in which nothing is computed."""
        self.add("=cmd|x@montague.lit", "+49@montague.lit", "-1@montague.lit")
        answer = self.admin.get("/console/do/user/list?as=csv")
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8")
        self.assertIn("attachment", answer.headers["Content-Disposition"])
        names = [row["account"] for row in csv.DictReader(io.StringIO(answer.text))]
        self.assertIn(ROMEO, names)
        for name in names:
            self.assertNotIn(name[0], "=+-@")
        self.assertIn("'=cmd|x@montague.lit", names)

    def test_many_rows(self) -> None:
        """A page shows so many rows, and says that there are more."""
        self.add(*(f"u{number}@montague.lit" for number in range(210)))
        page = self.admin.get("/console/users")
        self.assertEqual(page.text.count("<tr>"), 101)
        self.assertIn("The next 100", seen(page))
        self.assertIn("There is more", seen(self.admin.get("/console/do/user/list?domain=")))
        answer = self.admin.get("/console/do/user/list?as=csv")
        self.assertEqual(len(answer.text.splitlines()), 214)

    def test_onward(self) -> None:
        """The rows behind those which are shown are one click away, each once, up to the last; the
        file has all.
        """
        self.add(*(f"u{number}@montague.lit" for number in range(210)))
        found, path = list[str](), "/console/users"
        for number in (100, 100, 13):
            page = self.admin.get(path)
            here = re.findall(r'href="/console/user\?account=([^"]*)"', page.text)
            self.assertEqual(len(here), number)
            found += map(unquote, here)
            onward = re.findall(r'href="(/console/users\?after=[^"]*)">The next 100', page.text)
            self.assertEqual(bool(onward), number == 100)
            self.assertEqual("From the beginning" in page.text, len(found) > 100)
            path = unescape(onward[0]) if onward else path
        self.assertEqual(found, sorted(set(found)))
        (file,) = re.findall(r'href="([^"]*as=csv)"', page.text)
        self.assertEqual(len(self.admin.get(unescape(file)).text.splitlines()), 214)

    def test_onward_in_sessions(self) -> None:
        """So it is with sessions; what is looked for is looked for on the next page, too."""
        names = [f"u{number:03}@montague.lit" for number in range(120)]
        self.add(*names)
        for name in names:
            self.house.bind(name.partition("@")[0], "here")
        self.house.bind("romeo", "orchard")
        page = self.admin.get("/console/sessions")
        self.assertEqual(page.text.count("<tr>"), 101)
        (path,) = re.findall(r'href="([^"]*)">The next 100', page.text)
        self.assertEqual(self.admin.get(unescape(path)).text.count("<tr>"), 22)
        page = self.admin.get("/console/sessions?find=HERE")
        (path,) = re.findall(r'href="([^"]*)">The next 100', page.text)
        page = self.admin.get(unescape(path))
        self.assertEqual(page.text.count("<tr>"), 21)
        self.assertIn('value="HERE"', page.text)
        self.assertIn("xmppctl session list --find HERE", seen(page))
        self.assertIn("No session was found.", seen(self.admin.get("/console/sessions?find=zzz")))

    def test_in_order(self) -> None:
        """What several nodes answer is put into one order, and cut."""
        answer = Heard([{"jid": jid} for jid in ("d", "b", "c", "a")])
        answer.cut(3, "jid")
        self.assertEqual([row["jid"] for row in answer.rows], ["a", "b", "c"])
        self.assertTrue(answer.more)

    def test_onward_in_the_audit(self) -> None:
        """So it is with what was done, the newest first."""
        for _ in range(51):
            for command in ("disable", "enable"):
                self.admin.post(f"/console/do/user/{command}", {"account": ROMEO})
        page = self.admin.get("/console/audit")
        self.assertEqual(page.text.count("<tr>"), 101)
        (path,) = re.findall(r'href="([^"]*)">The next 100', page.text)
        self.assertEqual(self.admin.get(unescape(path)).text.count("<tr>"), 3)


class RoleTests(ConsoleCase):
    def test_nobody(self) -> None:
        """Without a role there is nothing to see, and what was the way out is shown."""
        romeo = self.browser(ROMEO)
        for path in ("", "users", "do/", "do/user/list", "live", "why", "stream/trace", "find?q=a"):
            answer = romeo.get(f"/console/{path}")
            self.assertEqual(answer.status, 403, path)
            self.assertIn("This is not for you", seen(answer))
        self.assertEqual(romeo.post("/console/do/user/disable", {"account": NURSE}).status, 403)

    def test_removed(self) -> None:
        """A role that is taken away is gone with the next click."""
        self.assertEqual(self.admin.get("/console/users").status, 200)
        self.house.server.commands.roles = type(self.house.server.commands.roles)()
        self.assertEqual(self.admin.get("/console/users").status, 403)

    def test_operator(self) -> None:
        """An operator is offered what the role has, and can do nothing else by knowing its path."""
        nurse = self.browser(NURSE)
        page = seen(nurse.get(f"/console/user?account={ROMEO}"))
        self.assertNotIn("Delete", page)
        self.assertNotIn("Password", page)
        self.assertIn("End…", page)
        for word in ("Add", "Join", "Disable"):
            self.assertNotIn(f">{word}<", nurse.get(f"/console/user?account={ROMEO}").text)
        self.assertNotIn("Keys", seen(nurse.get("/console/")))
        for path in ("user/delete", "user/add", "key/list", "plugin/load", "reload", "stop"):
            self.assertEqual(nurse.get(f"/console/do/{path}").status, 404, path)
            self.assertEqual(nurse.post(f"/console/do/{path}", {"account": ROMEO}).status, 404)
        trace = f"/console/stream/trace?address={ROMEO}&bodies=1"
        self.assertEqual(nurse.get(trace).status, 400)
        self.assertTrue(done(self.house.store.accounts.exists(ROMEO)))

    def test_mightier(self) -> None:
        """Nobody sets the password of somebody who may do more."""
        given = {"account": ADMIN, "password": "mine now"}
        nurse = self.browser(NURSE)
        self.assertEqual(nurse.post("/console/do/user/password", given).status, 404)

    def test_closed(self) -> None:
        """Who is disabled is out with the next click."""
        nurse = self.browser(NURSE)
        done(self.house.server.accounts.disable(JID.parse(NURSE)))
        self.assertEqual(nurse.get("/console/").status, 303)


class LiveTests(ConsoleCase):
    def open(self, path: str) -> WebClient:
        """A stream of events that is read by nobody yet."""
        client = WebClient(self.house, "127.0.0.1", serve=("console",), host="localhost")
        client.ask("GET", path, headers={"Cookie": f"xmppd={self.admin.cookies['xmppd']}"})
        self.house.clock.pump([0.0] * 20)
        self.addCleanup(self.close, client)
        return client

    def close(self, client: WebClient) -> None:
        """Close the page of a stream."""
        if not client.transport.lost:
            client.transport.abortConnection()
        self.house.network.settle()
        self.house.clock.pump([0.0] * 5)

    def events(self, client: WebClient) -> list[str]:
        """The data of the events that have come."""
        text = client.raw().decode()
        return [line[6:].rstrip() for line in text.split("\n") if line.startswith("data: ")]

    def test_numbers(self) -> None:
        """Who looks is told once in a second; nothing is sampled when nobody does."""
        client = self.open("/console/live")
        self.house.bind("romeo", "orchard")
        self.house.clock.pump([1.0] * 3)
        told = [json.loads(event) for event in self.events(client)]
        self.assertEqual(len(told), 4)
        self.assertEqual(told[-1]["sessions"]["value"], "1")
        self.close(client)
        self.assertFalse(self.house.server.live._sampling.running)

    def test_logged_out(self) -> None:
        """Whoever is logged out, or has no role any more, is told no more, without a click."""
        roles = self.house.server.commands.roles
        for path in ("/console/live", "/console/stream/trace?address=montague.lit"):
            for end in (self.log_out, self.take_role_away):
                with self.subTest(path, end=end.__name__):
                    self.admin = self.browser(ADMIN)
                    client = self.open(path)
                    end()
                    self.events(client)
                    self.house.bind("romeo", end.__name__)
                    self.house.clock.pump([1.0] * 3)
                    self.assertNotIn(end.__name__, client.raw().decode())
                    self.assertEqual(self.house.server.live._windows, set())
                    self.house.server.commands.roles = roles

    def log_out(self) -> None:
        self.house.server.visitors.log_out_everywhere(JID.parse(ADMIN))

    def take_role_away(self) -> None:
        self.house.server.commands.roles = type(self.house.server.commands.roles)()

    def test_slow(self) -> None:
        """A window that reads slowly is told the newest, not all that it has missed."""
        client = self.open("/console/live")
        self.events(client)
        client.handler.pauseProducing()
        self.house.clock.pump([1.0] * 50)
        client.handler.resumeProducing()
        self.house.clock.pump([0.0] * 20)
        self.assertLess(len(self.events(client)), 5)

    def test_windows(self) -> None:
        """There are so many windows, and so many streams of commands."""
        for _ in range(MAX_WINDOWS):
            self.open("/console/live")
        self.assertEqual(self.admin.get("/console/live").status, 429)

    def test_streams(self) -> None:
        """So many commands without an end are read on pages."""
        self.house.server.commands.put(
            Command(Description("listen", "to the night", answers="stream"), self.wait), "night"
        )
        for _ in range(MAX_STREAMS):
            self.open("/console/stream/listen")
        self.assertEqual(self.admin.get("/console/stream/listen").status, 429)

    async def wait(self, context: CommandContext) -> Replies:
        """A command that takes a minute."""
        await deferLater(self.house.clock, 60.0)
        yield "done"

    def test_trace(self) -> None:
        """A trace is read as it happens, and ends with its page."""
        romeo = self.house.bind("romeo", "orchard")
        client = self.open(f"/console/stream/trace?address={ROMEO}")
        romeo.send("<message to='nurse@montague.lit'><body>hi</body></message>")
        self.house.clock.pump([0.0] * 50)
        self.assertIn("MessageRouter", "".join(self.events(client)))
        self.close(client)
        self.assertEqual(len(self.house.traces.tracers), 0)

    def look(self, times: int) -> None:
        """Let so many steps of the graphs go by."""
        for _ in range(times):
            self.house.clock.advance(10.0)
            self.house.server.live.look(self.house.clock.seconds())

    def test_graphs(self) -> None:
        """The overview has graphs of what was, drawn by the server, and their values for a script:
        those of another time are one click away.
        """
        page = self.admin.get("/console/")
        self.assertEqual(page.text.count("<figure"), 4)
        # nothing is said before the first values are there
        self.assertEqual(page.text.count("the last hour: no values yet"), 4)
        self.assertEqual(page.text.count("data-last></span>"), 6)
        self.look(400)
        self.house.bind("romeo", "orchard")
        self.look(1)
        self.admin = self.browser(ADMIN)  # it was out, for it did nothing
        page = self.admin.get("/console/")
        label = "Sessions, the last hour: at most 1, connected now 1, detached now 0"
        self.assertEqual(page.text.count(f'aria-label="{label}"'), 1)
        self.assertEqual(page.text.count('class="line line-1" d="M'), 4)
        for over, count in (("hour", 360), ("day", 14), ("week", 2), ("for ever", 360)):
            [told] = json.loads(self.admin.get(f"/console/graphs?over={quote(over)}").text)
            self.assertEqual(told["graphs"]["sessions"], [[0] * (count - 1) + [1], [0] * count])
            self.assertEqual(len(told["at"]), count, over)
            self.assertEqual(told["at"][-1], round(self.house.wall_clock(), 1))
            self.assertEqual(told["at"], sorted(set(told["at"])))
        page = self.admin.get("/console/?over=day")
        self.assertIn('href="/console/?over=day" aria-current', page.text)

    def test_graphs_after_a_restart(self) -> None:
        """The graphs go on behind a gap when the server has been started again, or was killed."""
        for end in ("restarted", "again"):
            self.look(61)
            self.house = getattr(self.house, end)()
            self.house.clock.advance(1_800.0)
            self.look(4)
            self.admin = self.browser(ADMIN)
            page = self.admin.get("/console/?over=day")
            line = re.findall(r'class="line line-2" d="([^"]*)"', page.text)[0]
            self.assertEqual(line.count("M"), 2 if end == "restarted" else 3)
            [told] = json.loads(self.admin.get("/console/graphs?over=day").text)
            self.assertIn(None, told["graphs"]["stanzas"][0])

    def test_graphs_of_pages(self) -> None:
        """There are graphs of the process; those of the nodes are not shown where there is one
        server; another page has none.
        """
        self.look(3)
        [told] = json.loads(self.admin.get("/console/graphs?page=server").text)
        self.assertEqual(list(told["graphs"]), ["processor", "memory", "traffic", "store"])
        self.assertGreater(told["graphs"]["memory"][0][-1], 10)
        for without in ("nodes", "users"):
            self.assertNotIn("<figure", self.admin.get(f"/console/{without}").text)
        self.assertEqual(self.admin.get("/console/graphs?page=users").status, 404)

    def test_graphs_go_on(self) -> None:
        """Who looks is told the newest values of the graphs as well."""
        self.house.bind("romeo", "orchard")
        self.look(3)
        client = self.open("/console/live")
        overview, server = json.loads(self.events(client)[0])["step"]
        self.assertEqual(overview["graphs"]["sessions"], [[1], [0]])
        self.assertEqual(overview["at"], [round(self.house.wall_clock(), 1)])
        self.assertEqual(list(server["graphs"]), ["processor", "memory", "traffic", "store"])

    def test_commands_at_once(self) -> None:
        """So many commands are under way for pages; then one is told to try again."""
        self.house.server.commands.put(Command(Description("sleep", "wait"), self.wait), "night")
        waiting = [self.open("/console/do/sleep") for _ in range(MAX_COMMANDS)]
        self.assertEqual(self.admin.get("/console/do/sleep").status, 429)
        self.house.clock.pump([60.0, 0.0, 0.0])
        self.assertEqual(waiting[0].answer().status, 200)


class ServedTests(ConsoleCase):
    def test_only_where(self) -> None:
        """A listener that does not serve the console has nothing of it."""
        browser = Browser(self.house, ("web", "api", "metrics"), host="montague.lit")
        for path in ("", "login", "static/pages.css", "live"):
            self.assertEqual(browser.get(f"/console/{path}").status, 404)
