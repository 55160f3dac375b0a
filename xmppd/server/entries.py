"""What other nodes ask of the stages."""

from xmppd.cluster.entries.commands import CommandGiven, CommandMore, CommandUnread
from xmppd.cluster.entries.membership import CountSessions, Swept
from xmppd.cluster.entries.readings import ReadingsWanted
from xmppd.cluster.entries.routes import ComponentAt
from xmppd.cluster.entries.stanzas import (
    Behind,
    Delivered,
    DeliveredToMany,
    MessagesWait,
    Routed,
    Secure,
    WhoHas,
)
from xmppd.cluster.entries.things import PluginAsked, PluginTold, TakeUp
from xmppd.cluster.membership import NodeLeft, NodeLost
from xmppd.events import OWNER, On
from xmppd.nodes.bosh_entries import BoshEntries
from xmppd.nodes.custody import Custody
from xmppd.nodes.node_commands import NodeCommands
from xmppd.nodes.session_entries import SessionEntries
from xmppd.nodes.stanza_entries import StanzaEntries
from xmppd.server.wiring import Wiring


def put_entries(server: Wiring) -> None:
    """Give each kind of entry to the stage that handles it."""
    entries = server.entry_handler
    stanzas = StanzaEntries(
        server.routing_table,
        server.packet_router,
        server.presence_manager,
        server.offline_message_flood,
        server.moves.offers,
        entries,
    )
    commands = NodeCommands(server.cluster, server.commands, server.clock)
    custody = Custody(server.routing_table, server.held_messages, entries)
    server.held_messages.ask_others = custody.secure_elsewhere
    entries.put(Routed, stanzas.routed)
    entries.put(Delivered, stanzas.delivered)
    entries.put(DeliveredToMany, stanzas.told)
    entries.put(Behind, stanzas.behind)
    entries.put(WhoHas, stanzas.who_has)
    entries.put(Secure, custody.secure)
    entries.put(MessagesWait, server.stored_messages.wait)
    entries.put(TakeUp, server.cluster.claims.asked_to_take_up)
    entries.put(PluginTold, server.plugin_messages.told)
    entries.put(PluginAsked, server.plugin_messages.asked)
    entries.put(ComponentAt, server.component_entries.noted)
    entries.put(ReadingsWanted, server.live.nodes.wanted)
    entries.put(CountSessions, server.drain.targets.counted)
    entries.put(Swept, server.directory_sweep.swept)
    entries.put(CommandGiven, commands.given)
    entries.put(CommandMore, commands.more)
    entries.put(CommandUnread, commands.unread)
    SessionEntries(server.locations, server.accounts, server.devices).put_in(entries)
    server.arrivals.put_in(entries)
    server.moves.put_in(entries)
    _put_bosh_entries(server)
    sync = server.account_sync()
    sync.put_in(entries)
    server.routing_table.siblings.met_late.append(sync.met_late)
    server.commands.others = commands


def _put_bosh_entries(server: Wiring) -> None:
    """What nodes pass on to each other of BOSH."""
    bosh = BoshEntries(server.cluster, server.bosh_sessions, server.clock)
    bosh.put_in(server.entry_handler)
    server.events.put(On(NodeLost, bosh.node_gone), OWNER)
    server.events.put(On(NodeLeft, bosh.node_gone), OWNER)
