"""An example with most kinds of parts: an account that becomes available for the first time is
greeted.

An administrator changes the greeting by a command, from a client or from the shell; anybody reads
it by an iq.
"""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import DomainName
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.config.config import ItemSettings
from xmppd.config.section import Section
from xmppd.config.settings import Settings
from xmppd.events import On
from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.handler.presence_update_handler import SessionAvailable
from xmppd.host.metrics import Metric
from xmppd.plugin.place import Part
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    Message,
    element,
    escape,
    qname,
)
from xmppd.store.errors import QuotaExceeded
from xmppd.store.items import Item, ItemStore
from xmppd.store.readable import readable

NS = "urn:xmppd:example:greeter"


class GreeterSettings(Section, frozen=True):
    """``[example_greeter]``: the greeting, until an administrator changes it."""

    greeting: str = "Welcome to this server!"
    max_greeting_bytes: int = 1_024


@dataclass
class Greeter:
    """Greets each account once, and remembers that.

    Attributes:
        store: Remembers.
        quota: Of what one account may keep.
        routing_table: Delivers greetings.
        settings: As configured.
        greeted: The number since the plugin was loaded.
    """

    store: ItemStore
    quota: ItemSettings
    routing_table: RoutingTable
    settings: GreeterSettings
    greeted: int = 0

    def use(self, settings: GreeterSettings) -> None:
        """Go by other settings; who was greeted stays counted."""
        self.settings = settings

    async def greeting(self, domain: str) -> str:
        """The greeting of a domain."""
        kept = await self.store.get_item(domain, NS, "greeting")
        items = [] if kept is None else [Item(NS, "greeting", kept)]
        texts = await readable(self.store, domain, items, lambda item: item.value.decode())
        return texts[0] if texts else self.settings.greeting

    async def keep(self, name: str, key: str, value: bytes) -> None:
        """Store a value for an account or a domain, within its quota."""
        await self.store.set_item(
            name,
            NS,
            key,
            value,
            max_items=self.quota.max_items,
            max_bytes=self.quota.max_bytes,
        )

    async def greet(self, event: SessionAvailable) -> None:
        """Greet an account that became available."""
        account = event.session.jid.to_bare()
        if await self.store.get_item(account.bare, NS, "greeted") is not None:
            return
        try:
            await self.keep(account.bare, "greeted", b"1")
        except QuotaExceeded:
            return  # an account that has stored that much was here before
        self.greeted += 1
        body = f"<body>{escape(await self.greeting(account.domain))}</body>"
        sender = JID.parse(account.domain)
        self.routing_table.route(Message.make(event.session.jid, sender, body.encode()))

    async def change(self, context: CommandContext) -> Replies:
        """Take another greeting from an administrator, for one domain or for all."""
        greeting = context.arguments.text("greeting").strip()
        most = self.settings.max_greeting_bytes
        if not greeting or len(greeting.encode()) > most:
            raise Refused(f"a greeting may have 1 to {most} bytes")
        for domain in context.arguments.domains("domain"):
            try:
                await self.keep(domain, "greeting", greeting.encode())
            except QuotaExceeded as error:
                raise Refused(f"{domain} may store nothing more", Condition.NOT_ALLOWED) from error
            yield f"new users of {domain} now get this greeting"


CHANGE = Description(
    "greeting change",
    "change the greeting for new users",
    (
        Argument("greeting", "the text"),
        Argument("--domain", "only for this domain", DomainName()),
    ),
    "changes",
)


@dataclass(frozen=True)
class IQGreetingHandler(IQHandler):
    """Answer with the greeting."""

    greeter: Greeter

    query = qname(NS, "greeting")
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> Element:
        return element(NS, "greeting", await self.greeter.greeting(asked.address.domain))


def plug(
    store: ItemStore, quota: ItemSettings, routing_table: RoutingTable, settings: GreeterSettings
) -> list[Part]:
    """The parts of this plugin."""
    greeter = Greeter(store, quota, routing_table, settings)
    return [
        On(SessionAvailable, greeter.greet),
        IQGreetingHandler(greeter),
        Command(CHANGE, greeter.change),
        Metric(
            "greeted_accounts", "Accounts that were greeted.", "counter", lambda: greeter.greeted
        ),
        Settings(GreeterSettings, greeter.use),
    ]
