"""Console: every command of the server as a page, for those who have a role (CN-1 to CN-11).

A page says nothing that a command does not answer, and does nothing but give one: so it is for
whoever may give it, is written down as every command is, and is there the day the command is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.auth.base import SASLError
from xmppd.command.argument import DRY_RUN
from xmppd.command.command import Description
from xmppd.command.command_context import Actor
from xmppd.command.command_table import CommandTable
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.config.scopes import ROLES
from xmppd.console.asking import fields, given, in_a_shell, is_filled, is_for_pages
from xmppd.console.endless_commands import EndlessCommands
from xmppd.console.graphs import GRAPHS, OVERVIEW
from xmppd.console.history import SPANS
from xmppd.console.live import Live
from xmppd.console.offered_command import OfferedCommand, quoted
from xmppd.console.overview import ServiceState, by_account
from xmppd.console.own_pages import USER
from xmppd.console.shown import (
    MAX_FILE_ROWS,
    Act,
    Heard,
    ShownAnswer,
    as_csv,
    shown,
)
from xmppd.console.why import QUESTIONS, Verdict, verdict
from xmppd.host.version import version
from xmppd.pages.page import MAX_ROWS, PLACES, ConsolePages, Page, Panel
from xmppd.pages.page_site import Click, PageSite, fields_of
from xmppd.pages.visitors import Visitors
from xmppd.stanza import JID, Condition
from xmppd.web.http_path import HTTPPath
from xmppd.web.request import HTTPError, HTTPResponse

ROOT = "/console/"
HERE = Path(__file__).parent
MAX_COMMANDS = 16
"""Commands that may be under way for pages."""

MAX_OPTIONS = 1_000
"""Of the configuration, all of which are on one page."""

UPLOT = "uPlot.iife.min.js", "uPlot.min.css"
"""What draws graphs in browsers, where the package was made with it."""

CSV = "csv"
FORM = "form"
"""In an address: shows the form of a command that could be asked about at once."""

_STATUS: Mapping[Condition, int] = {
    Condition.FORBIDDEN: 403,
    Condition.ITEM_NOT_FOUND: 404,
    Condition.CONFLICT: 409,
    Condition.INTERNAL_SERVER_ERROR: 500,
    Condition.SERVICE_UNAVAILABLE: 503,
}
_USER = ROLES["user"]
NUMBERS = "server:read"
"""The scope of whoever sees the numbers of the overview."""

_log = Logger()


def has_role(actor: Actor) -> bool:
    """Whether somebody may come: who may do more than look after their own account."""
    return bool(actor.scopes - _USER)


class Console:
    """The paths of listeners that serve ``console``.

    Args:
        visitors: Say who is there.
        commands: All there are.
        pages: All there are.
        live: The numbers of the overview.
        clock: The reactor's.
    """

    def __init__(
        self,
        visitors: Visitors,
        commands: CommandTable,
        pages: ConsolePages,
        live: Live,
        clock: IReactorTime,
    ) -> None:
        self._visitors = visitors
        self._commands = commands
        self._pages = pages
        self._live = live
        self._streams = EndlessCommands(commands, clock)
        self._under_way = 0
        self._site = PageSite(visitors, ROOT, "xmppd console", "console", has_role, HERE)
        self._site.frame = self._frame

    def paths(self) -> Iterator[HTTPPath]:
        """Where they are."""
        path = self._site.path
        yield from self._site.paths()
        yield path("", self.show)
        yield path("why", self.explain)
        yield path("find", self.find)
        yield path("configuration", self.configure, ("GET", "POST"))
        yield path("live", self.live)
        yield path("graphs", self.graphs)
        yield path("do/", self.do, ("GET", "POST"))
        yield path("stream/", self.stream)

    def live(self, click: Click) -> HTTPResponse:
        """The numbers of the overview, as they change."""
        _check_numbers(click)
        return self._live.stream(partial(click.may_still, NUMBERS))

    async def graphs(self, click: Click) -> HTTPResponse:
        """The values of the graphs of a page, for its script.

        Raises:
            HTTPError: It has none, or they are not for them.
        """
        _check_numbers(click)
        page = click.field("page")
        if page not in GRAPHS:
            raise HTTPError(404, "This page has no graphs.")
        return await self._live.history(page, _span(click))

    # -- the frame --------------------------------------------------------------------------------

    def _frame(self, click: Click) -> Mapping[str, object]:
        """The menu, as far as it is for somebody."""
        actor = click.actor
        menu = []
        if actor is not None:
            for place in PLACES:
                pages = [
                    page
                    for page in self._pages.pages.values()
                    if page.place == place and not page.about and self._is_for(page, actor)
                ]
                menu.append((place, [(page.title, ROOT + page.path) for page in pages]))
        return {
            "menu": menu,
            "domain": self._commands.domains[0],
            "spans": SPANS,
            "may_ask_why": actor is not None and any(self._may(name, actor) for name in QUESTIONS),
            "may_configure": actor is not None and self._may("config show", actor),
            "may_trace": actor is not None and self._may("trace", actor),
        }

    def _is_for(self, page: Page, actor: Actor) -> bool:
        panels = self._pages.panels(page.path)
        return any(self._may(panel.command, actor) for panel in panels)

    def _may(self, name: str, actor: Actor) -> bool:
        """Whether there is such a command, and somebody may give it for others as well."""
        command = self._commands.commands.get(name)
        return command is not None and command.about.scope in actor.scopes

    # -- pages ------------------------------------------------------------------------------------

    async def show(self, click: Click) -> HTTPResponse:
        """The overview, or the page of a path.

        Raises:
            HTTPError: There is none.
        """
        path = click.request.path.removeprefix(ROOT)
        if not path:
            return await self._overview(click)
        page = self._pages.pages.get(path)
        actor = _actor(click)
        if page is None or not self._is_for(page, actor):
            raise HTTPError(404, "This page does not exist, or you may not see it.")
        about = click.field(page.about) if page.about else ""
        if page.about and not about:
            raise HTTPError(404, f"Say which {page.about} this page is about.")
        panels = [
            await self._panel(panel, about, click)
            for panel in self._pages.panels(path)
            if self._may(panel.command, actor)
        ]
        beside = next(iter(self._pages.panels(path))).command
        acts = self._page_acts(page.acts, click, beside, about)
        why_not = [self._why_not(name, about) for name in page.acts if self._may(name, actor)]
        return click.page(
            "listed.html",
            title=about or page.title,
            kind=page.title,
            says=page.says,
            acts=acts,
            why_not=list(dict.fromkeys(filter(None, why_not))),
            panels=panels,
            went=await self._went(click, path),
        )

    async def _went(self, click: Click, page: str) -> Mapping[str, object] | None:
        """The graphs of a page; None if it has none, or they are not for whoever looks."""
        if page not in GRAPHS or NUMBERS not in _actor(click).scopes:
            return None
        over = _span(click)
        graphs = await self._live.graphs(page, over)
        draws = self._site.static.has(*UPLOT)
        if not graphs:
            return None
        return {
            "page": page,
            "over": over,
            "graphs": graphs,
            "draws": draws,
            "gone": [line for line in graphs[0].lines if line.gone_since],
        }

    async def _panel(self, panel: Panel, about: str, click: Click) -> Mapping[str, object]:
        told: dict[str, object] = dict(panel.given)
        if panel.about:
            told[panel.about] = about
        words = click.field(panel.finds) if panel.finds else ""
        if words:
            told[panel.finds] = words
        begin = click.field(panel.onward[0]) if panel.onward else ""
        page: dict[str, object] = {}
        if panel.onward is not None:
            page["rows"] = str(panel.most + 1)
            if begin:
                page[panel.onward[0]] = begin
        found = await self._shown(panel.command, told | page, click, panel)
        command = self._commands.commands[panel.command].about
        names: tuple[str, ...] = panel.acts
        row: Mapping[str, Any] = {}
        if self._is_record(panel):
            names, row = (*panel.acts, *panel.each), found.last
        return {
            "title": panel.title,
            "acts": self._page_acts(names, click, panel.command, about, row),
            "shown": found,
            "shell": in_a_shell(command, told),
            "file": self._href(panel.command, {**told, "as": CSV}),
            "open": self._href(panel.command, told),
            "first": f"{click.request.path}{words and '?' + urlencode({panel.finds: words})}"
            if begin
            else "",
            "finds": panel.finds,
            "words": words,
            "next": self._next(panel, found, click),
        }

    def _next(self, panel: Panel, found: ShownAnswer, click: Click) -> str:
        """Where the rows are that come behind those which are shown (CN-8)."""
        if panel.onward is None or not found.more:
            return ""
        argument, column = panel.onward
        query = {key: click.field(key) for key in (panel.about, panel.finds) if click.field(key)}
        last = found.last.get(column)
        return f"{click.request.path}?{urlencode({**query, argument: last})}"

    async def _shown(
        self, name: str, told: Mapping[str, object], click: Click, panel: Panel | None = None
    ) -> ShownAnswer:
        try:
            onward = panel.onward if panel is not None else None
            most = panel.most if panel is not None else MAX_ROWS
            answer = await self._answer(name, told, _actor(click), most, onward=onward)
        except Refused as error:
            return ShownAnswer(refused=f"{str(error).rstrip('.')}.")
        empty = _sentence(self._commands.commands[name].about.empty)
        if panel is None:
            return shown(answer, facts=True, link=self._link, empty=empty)
        about = click.field(panel.about) if panel.about else ""
        each = () if self._is_record(panel) else panel.each
        offers = self._offers(each, click, panel.command, about, panel.at_once)

        def acts(row: Mapping[str, Any]) -> Iterator[Act]:
            for offer in offers:
                column, value = panel.only.get(offer.command.name, ("", None))
                act = offer.act(row, panel.takes)
                if act is not None and row.get(column) == value:
                    yield act

        return shown(
            answer,
            columns=panel.columns,
            facts=self._is_record(panel) or not (panel.opens or panel.each),
            link=self._link,
            acts=acts,
            empty=empty,
        )

    def _offers(
        self,
        names: Iterable[str],
        click: Click,
        beside: str,
        about: str,
        at_once: Collection[str] = (),
    ) -> list[OfferedCommand]:
        """Those of some commands that are for somebody, as a page offers them.

        Args:
            names: Of the commands.
            click: Who is offered them, and where.
            beside: The command whose answer they stand beside: of one family both need not say so.
            about: What the page is about.
            at_once: Those of them that are given by their button, without a form.
        """
        actor, back = _actor(click), click.request.path + _asked(click)
        family = beside.partition(" ")[0]
        offers = []
        for name in names:
            if self._may(name, actor):
                first, _, rest = name.partition(" ")
                title = _title(rest if rest and first == family else name)
                command = self._commands.commands[name]
                offers.append(
                    OfferedCommand(
                        command, title, self._href(name, {}), back, about, name in at_once
                    )
                )
        return offers

    def _is_record(self, panel: Panel) -> bool:
        """Whether a panel has one row, which is a list of facts."""
        return self._commands.commands[panel.command].about.answers == "record"

    def _page_acts(
        self,
        names: Iterable[str],
        click: Click,
        beside: str = "",
        about: str = "",
        row: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[Act]:
        acts = (offer.act(row) for offer in self._offers(names, click, beside, about))
        return [act for act in acts if act is not None]

    def _why_not(self, name: str, about: str) -> str:
        """Why a command that a page has is not offered for what it is about (CN-10)."""
        offer = OfferedCommand(self._commands.commands[name], "", "", "", about)
        return _sentence(offer.command.why_not(offer.told({})))

    def _link(self, key: str, value: object) -> str:
        """The page that a value leads to: that of an account of ours."""
        if key not in _PEOPLE or not isinstance(value, str):
            return ""
        try:
            jid = JID.parse(value)
        except ValueError:
            return ""
        if jid.local is None or jid.domain not in self._commands.domains:
            return ""
        return f"{ROOT}{USER}?account={quoted(jid.bare)}"

    def _href(self, name: str, told: Mapping[str, object]) -> str:
        query = urlencode(told, doseq=True)
        return f"{ROOT}do/{name.replace(' ', '/')}{query and '?' + query}"

    async def _overview(self, click: Click) -> HTTPResponse:
        actor = _actor(click)
        few = {"rows": "6"}
        status = await self._heard("status", {}, actor)
        presence = await self._heard("top presence", few, actor)
        return click.page(
            "overview.html",
            tiles=self._live.tiles() if NUMBERS in actor.scopes else (),
            went=await self._went(click, OVERVIEW),
            version=version(),
            presence=None if presence is None else by_account(presence.rows),
            audit=await self._heard("audit list", few, actor),
            state=None if status is None else ServiceState.of(status, self._commands.others.here),
            acts=self._page_acts(("reload",), click),
            user=f"{ROOT}{USER}?account=",
        )

    async def _heard(self, name: str, told: Mapping[str, object], actor: Actor) -> Heard | None:
        """What a command answers; None if it is not for them, or cannot be done."""
        if not self._may(name, actor):
            return None
        try:
            return await self._answer(name, told, actor)
        except Refused:
            return None

    # -- why --------------------------------------------------------------------------------------

    async def explain(self, click: Click) -> HTTPResponse:
        """Why something is so: each question is a command that explains.

        Raises:
            HTTPError: There is no such question, or it is not for them.
        """
        actor = _actor(click)
        questions = [name for name in QUESTIONS if self._may(name, actor)]
        name = click.field("question") or next(iter(questions), "")
        if name not in questions:
            raise HTTPError(404, "This question does not exist, or you may not ask it.")
        about = self._commands.commands[name].about
        told = given(about, click.form)
        found: Verdict | None = None
        refused, wrong = "", ""
        if is_filled(about, told):
            try:
                answer = await self._answer(name, told, actor)
                found = verdict(answer)
            except Refused as error:
                refused, wrong = f"{str(error).rstrip('.')}.", error.argument
        return click.page(
            "why.html",
            questions=[(QUESTIONS[each], each) for each in questions],
            question=name,
            fields=list(fields(about, click.form, self._commands.domains, wrong)),
            found=found,
            refused=refused,
            shell_line=in_a_shell(about, told),
            acts=[
                act
                for value in told.values()
                if isinstance(value, str) and (href := self._link("account", value))
                for act in (Act(value, href),)
            ],
        )

    # -- configuration ----------------------------------------------------------------------------

    async def configure(self, click: Click) -> HTTPResponse:
        """The configuration: what holds, and what another text would change; then it is applied.

        Raises:
            HTTPError: It is not for them.
        """
        actor = _actor(click)
        if not self._may("config show", actor):
            raise HTTPError(404, "This page does not exist, or you may not see it.")
        may = {name: self._may(f"config {name}", actor) for name in ("file", "plan", "apply")}
        text, known = click.field("text").replace("\r\n", "\n"), click.field("known")
        step, refused = click.field("step"), ""
        planned: ShownAnswer | None = None
        try:
            if click.request.method == "POST" and step == "apply":
                told: dict[str, object] = {"text": text, "known": known}
                answer = await self._answer("config apply", told, actor)
                said = [f"{row['key']} {row['effect']}." for row in answer.rows]
                said += [f"{note}." for note in answer.notes]
                return click.away(f"{ROOT}configuration", *said)
            if click.request.method == "POST":
                planned = shown(await self._answer("config plan", {"text": text}, actor))
        except Refused as error:
            refused = f"{str(error).rstrip('.')}."
        if click.request.method == "GET" and may["file"] and may["apply"]:
            heard = await self._heard("config file", {}, actor)
            for row in [] if heard is None else heard.rows:
                text, known = row["text"], row["known"]
        return click.page(
            "configuration.html",
            status=400 if refused else 200,
            settings=shown(await self._answer("config show", {}, actor, MAX_OPTIONS)),
            may=may,
            text=text,
            known=known,
            planned=planned,
            refused=refused,
        )

    # -- search -----------------------------------------------------------------------------------

    async def find(self, click: Click) -> HTTPResponse:
        """Whatever has a name like that: an account, a page, a command."""
        actor, wanted = _actor(click), click.field("q").strip()
        found: list[tuple[str, str, str]] = []
        account = wanted if "@" in wanted else f"{wanted}@{self._commands.domains[0]}"
        if wanted:
            heard = await self._heard("user show", {"account": account}, actor)
            found += [
                ("User", row["account"], self._link("account", row["account"]))
                for row in ([] if heard is None else heard.rows)
            ]
        small = wanted.lower()
        for page in self._pages.pages.values():
            is_named_so = small and small in page.title.lower() and not page.about
            if is_named_so and self._is_for(page, actor):
                found.append(("Page", page.title, ROOT + page.path))
        for name, command in sorted(self._commands.commands.items()):
            about = command.about
            is_named_so = small and small in f"{name} {about.help.lower()}"
            if is_named_so and self._may(name, actor) and is_for_pages(about):
                found.append(("Command", f"{name}: {about.help}", self._href(name, {})))
        if len(found) == 1:
            return click.away(found[0][2])
        return click.page("found.html", wanted=wanted, found=found)

    # -- commands ---------------------------------------------------------------------------------

    async def do(self, click: Click) -> HTTPResponse:
        """The form of a command, and what it answers; without a name, all commands.

        Raises:
            HTTPError: There is none of this name, or it is not for them.
        """
        path = click.request.path.removeprefix(f"{ROOT}do/")
        if not path:
            return self._all(click)
        name, actor = path.replace("/", " "), _actor(click)
        if not self._may(name, actor) or not is_for_pages(self._commands.commands[name].about):
            raise HTTPError(404, "This command does not exist, or you may not run it.")
        about = self._commands.commands[name].about
        if click.request.method == "POST":
            # A button of a table has in its address what the command is told.
            click = replace(click, form={**fields_of(click.request.query), **click.form})
        told = given(about, click.form)
        if about.answers == "stream" and about.effect == "reads":
            return self._form(click, name, stream=is_filled(about, told))
        if click.request.method == "POST":
            return await self._post(click, name, told)
        if about.effect == "ends" and is_filled(about, told) and not click.field(FORM):
            return await self._post(click, name, told)
        if about.effect != "reads" or not is_filled(about, told):
            return self._form(click, name)
        if click.field("as") == CSV:
            return await self._file(click, name, told)
        found = await self._shown(name, told, click)
        return self._form(click, name, found)

    def _all(self, click: Click) -> HTTPResponse:
        families: dict[str, list[tuple[str, str, str]]] = {}
        for name, command in sorted(self._commands.commands.items()):
            if self._may(name, _actor(click)) and is_for_pages(command.about):
                family = families.setdefault(name.partition(" ")[0], [])
                family.append((name, command.about.help, self._href(name, {})))
        return click.page("commands.html", families=families)

    async def _post(self, click: Click, name: str, told: Mapping[str, object]) -> HTTPResponse:
        """Do what a form says; what ends something is asked again, with what would happen."""
        about = self._commands.commands[name].about
        actor = _actor(click)
        try:
            if about.effect == "ends":
                if click.request.method == "GET" or not click.field("confirmed"):
                    return await self._confirm(click, name, told)
                try:
                    await self._prove(click)
                except SASLError:
                    return await self._confirm(
                        click, name, told, "Wrong password, or too many attempts."
                    )
            answer = await self._answer(name, told, actor)
        except Refused as error:
            return self._form(
                click, name, refused=f"{str(error).rstrip('.')}.", wrong=error.argument,
                status=200 if click.request.method == "GET" else _STATUS.get(error.condition, 400),
            )  # fmt: skip
        if answer.rows or about.effect == "reads":
            found = shown(answer, facts=True, link=self._link)
            return self._form(click, name, found, is_done=True)
        sentences = [f"{note}." for note in answer.notes] or ["Done."]
        return click.away(self._site.local(click.field("back")), *sentences)

    async def _confirm(
        self, click: Click, name: str, told: Mapping[str, object], said: str = ""
    ) -> HTTPResponse:
        about = self._commands.commands[name].about
        answer = await self._answer(name, {**told, DRY_RUN.key: True}, _actor(click))
        assert click.visitor is not None, "others do not get here"
        return click.page(
            "confirm.html",
            status=400 if said else 200,
            title=_title(about.help),
            act=_title(name.partition(" ")[2] or name),
            name=name,
            action=self._href(name, {}),
            fields=list(fields(about, click.form, self._commands.domains)),
            back=self._site.local(click.field("back")),
            would=[f"{note}." for note in answer.notes],
            table=shown(answer),
            more=self._more(about, told, click.field("back")),
            proved=self._visitors.has_proved(click.visitor),
            passwords=self._visitors.has_passwords(click.visitor.account),
            said=said,
            shell_line=in_a_shell(about, told),
        )

    def _more(self, about: Description, told: Mapping[str, object], back: str) -> str:
        """The form of a command that may be told more; empty if there is nothing."""
        if all(each.key in told or each == DRY_RUN for each in about.arguments):
            return ""
        return self._href(about.name, {**told, "back": back, FORM: "1"})

    async def _prove(self, click: Click) -> None:
        """Have the password again, if it was not given lately (CN-6).

        Raises:
            SASLError: It is not the right one.
        """
        assert click.visitor is not None, "others do not get here"
        if not self._visitors.has_proved(click.visitor):
            await self._visitors.prove(click.visitor, click.field("password"), click.request)

    def _form(
        self,
        click: Click,
        name: str,
        found: ShownAnswer | None = None,
        *,
        refused: str = "",
        wrong: str = "",
        status: int = 200,
        stream: bool = False,
        is_done: bool = False,
    ) -> HTTPResponse:
        about = self._commands.commands[name].about
        told = given(about, click.form)
        href = self._href(name, told)
        return click.page(
            "command.html",
            status=status,
            title=_title(about.help),
            name=name,
            act=_title(name.partition(" ")[2] or name),
            about=about,
            action=self._href(name, {}),
            fields=list(fields(about, click.form, self._commands.domains, wrong)),
            back=click.field("back"),
            found=found,
            refused=refused,
            why_not=_sentence(self._commands.commands[name].why_not(told)),
            is_done=is_done,
            file=self._href(name, {**told, "as": CSV}),
            stream=href.replace(f"{ROOT}do/", f"{ROOT}stream/", 1) if stream else "",
            shell_line=in_a_shell(about, told),
        )

    async def _file(self, click: Click, name: str, told: Mapping[str, object]) -> HTTPResponse:
        try:
            answer = await self._answer(name, told, _actor(click), MAX_FILE_ROWS)
        except Refused as error:
            raise HTTPError(400, f"{str(error).rstrip('.')}.") from error
        headers = (
            ("Content-Type", "text/csv; charset=utf-8"),
            ("Content-Disposition", f'attachment; filename="{name.replace(" ", "-")}.csv"'),
            ("Cache-Control", "no-store"),
        )
        return HTTPResponse(200, as_csv(answer), headers)

    def stream(self, click: Click) -> HTTPResponse:
        """What a command says again and again, as events for its page.

        Raises:
            HTTPError: There is none, it is not for them, or too many are read.
        """
        name = click.request.path.removeprefix(f"{ROOT}stream/").replace("/", " ")
        actor = _actor(click)
        if not self._may(name, actor):
            raise HTTPError(404, "This command does not exist, or you may not run it.")
        command = self._commands.commands[name]
        if command.about.answers != "stream" or command.about.effect != "reads":
            raise HTTPError(400, "This command ends by itself: open its page instead.")
        try:
            _, context = self._commands.asked(name, given(command.about, click.form), actor)
        except Refused as error:
            raise HTTPError(400, f"{str(error).rstrip('.')}.") from error
        return self._streams.begin(
            command, context, click.request, partial(click.may_still, command.about.scope)
        )

    async def _answer(
        self,
        name: str,
        told: Mapping[str, object],
        actor: Actor,
        most: int = MAX_ROWS,
        onward: tuple[str, str] | None = None,
    ) -> Heard:
        """What a command answers, as far as it is shown: that of all nodes in the order of the
        column that leads onward, if there is one.

        Raises:
            Refused: It cannot be done.
            HTTPError: Too many commands are under way.
        """
        command, context = self._commands.asked(name, told, actor)
        if self._under_way >= MAX_COMMANDS:
            raise HTTPError(429, f"{MAX_COMMANDS} commands are under way; try again.")
        answer, kept = Heard(), most
        if onward is not None and command.about.asks == "all":
            kept = MAX_FILE_ROWS  # each node gives no more than it is asked for
        self._under_way += 1
        if command.about.effect != "reads" and DRY_RUN.key not in told:
            _log.info("console: {actor} ran the command {command}", actor=actor.who, command=name)
        try:
            async with aclosing(self._commands.replies(command, context)) as replies:
                async for reply in replies:
                    if len(answer.rows) + len(answer.notes) < kept:
                        answer.add(reply)
                        continue
                    answer.more = True
                    if command.about.effect == "reads":
                        break
        except Refused as error:
            if error.status != INCOMPLETE:
                raise
            answer.notes.append(str(error))
        finally:
            self._under_way -= 1
        if onward is not None and kept > most:
            answer.cut(most, onward[1])
        return answer


_PEOPLE = frozenset(
    (
        "account",
        "jid",
        "contact",
        "inviter",
        "reporter",
        "reported",
        "actor",
        "members",
        "made_by",
        "sender",
    )
)


def _actor(click: Click) -> Actor:
    assert click.actor is not None, "others do not get here"
    return click.actor


def _check_numbers(click: Click) -> None:
    """Refuse those who may not see the numbers of the server.

    Raises:
        HTTPError: They may not.
    """
    if not click.may_still(NUMBERS):
        raise HTTPError(403, f"This needs the scope {NUMBERS}.")


def _span(click: Click) -> str:
    """The time that the graphs are asked about."""
    over = click.field("over")
    return over if over in SPANS else next(iter(SPANS))


def _asked(click: Click) -> str:
    return click.request.query and f"?{click.request.query}"


def _sentence(why: str) -> str:
    return f"{why[:1].upper()}{why[1:]}." if why else ""


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


__all__ = ["MAX_COMMANDS", "ROOT", "Console", "has_role"]
