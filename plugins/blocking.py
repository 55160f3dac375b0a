"""XEP-0191: Blocking Command. A blocked JID gets no answer from an account, and sees nothing of it.

The blocklist is the JIDs to which the account's default privacy list denies everything (§5),
whether :xep:`0016` is loaded or not. A JID that is blocked may be reported as well (:xep:`0377`):
reports are logged, and kept for the administrator, who reads them with ``xmppctl report list``.
They are not forwarded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from twisted.logger import Logger

from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import On
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.host.clocks import Clocks
from xmppd.host.turns import Turns
from xmppd.plugin.place import Part
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.privacy.privacy_list_manager import BlocklistChanged, PrivacyListManager
from xmppd.privacy.reports import (
    MAX_ID_LENGTH,
    MAX_MESSAGES,
    MAX_REASON_LENGTH,
    MAX_TEXT_LENGTH,
    Report,
    Reports,
)
from xmppd.privacy.reports import (
    NS as REPORTING,
)
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionClosed
from xmppd.session.session_state import SessionState
from xmppd.stanza import IQ, JID, Condition, StanzaError, Tree, escape, qname
from xmppd.stanza.addresses import parse_all

NS = "urn:xmpp:blocking"
ITEM = qname(NS, "item")
REPORT, TEXT = qname(REPORTING, "report"), qname(REPORTING, "text")
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
FORWARD = ("report-origin", "third-party")
_log = Logger()


class Blocklists:
    """The blocklist of each account, and the sessions that are told of its changes (§3.2)."""

    def __init__(
        self,
        privacy_lists: PrivacyListManager,
        privacy_changes: PrivacyChanges,
        turns: Turns,
    ) -> None:
        self.privacy_lists = privacy_lists
        self.privacy_changes = privacy_changes
        self.turns = turns
        self._interested: dict[str, dict[str, LocalClientSession]] = {}
        self._numbers = count()

    def ask(self, session: LocalClientSession) -> None:
        """Note that the session has asked for the blocklist."""
        self._interested.setdefault(session.jid.bare, {})[session.id] = session

    def have_asked(self, session: LocalClientSession) -> bytes | None:
        """Whether it has, for after a restart."""
        return b"yes" if session.id in self._interested.get(session.jid.bare, {}) else None

    def closed(self, event: SessionClosed) -> None:
        """Forget a session that has ended."""
        bare = event.session.jid.bare
        interested = self._interested.get(bare, {})
        interested.pop(event.session.id, None)
        if not interested:
            self._interested.pop(bare, None)

    def push(self, account: JID, element: str, jids: Iterable[JID]) -> None:
        """Push blocked or unblocked JIDs to the sessions that have asked."""
        data = items(element, jids)
        for session in tuple(self._interested.get(account.bare, {}).values()):
            push_id = f"block-{next(self._numbers)}"
            push = IQ.make(session.jid, account, data, id=push_id, type="set")
            session.deliver(push, push.wire())

    def changed(self, event: BlocklistChanged) -> None:
        """Push the changes of the default privacy list (§5)."""
        if event.blocked:
            self.push(event.account, "block", event.blocked)
        if event.unblocked:
            self.push(event.account, "unblock", event.unblocked)

    async def named(self, iq: IQ) -> dict[JID, Tree]:
        """The items of a request, by the JIDs that they name.

        Raises:
            StanzaError: BAD_REQUEST or JID_MALFORMED: one names none; RESOURCE_CONSTRAINT: there
                are more than a list may have.
        """
        asked = iq.payload.tree[0]
        self.privacy_lists.check_length(len(asked))
        if any(item.tag != ITEM or not item.get("jid") for item in asked):
            raise StanzaError(Condition.BAD_REQUEST, "each item must have a jid")
        try:
            jids = await parse_all([item.attrib["jid"] for item in asked], self.turns.next)
        except ValueError as error:
            raise StanzaError(Condition.JID_MALFORMED, str(error)) from error
        return dict(zip(jids, asked, strict=True))


@dataclass(frozen=True)
class IQBlocklistHandler(IQHandler):
    """Show an account its blocklist (§3.2)."""

    lists: Blocklists

    query = qname(NS, "blocklist")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        self.lists.ask(asked.session)
        known = await self.lists.privacy_lists.lists(asked.address)
        return items("blocklist", known.blocked)


@dataclass(frozen=True)
class IQBlockHandler(IQHandler):
    """Block, and take a report (§3.3)."""

    lists: Blocklists
    reports: Reports
    clocks: Clocks

    query = qname(NS, "block")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        account = asked.address
        blocked = await self.lists.named(iq)
        if not blocked:
            raise StanzaError(Condition.BAD_REQUEST, "name at least one address to block")
        await self.lists.privacy_changes.block(account, blocked)
        self.lists.push(account, "block", blocked)
        for jid, item in blocked.items():
            report = read_report(account, jid, item, self.clocks.wall_clock())
            if report is not None:
                _log.warn(
                    "{reporter} reports {reported} ({reason})",
                    reporter=report.reporter,
                    reported=report.reported,
                    reason=report.reason,
                )
                await self.reports.add(report)


@dataclass(frozen=True)
class IQUnblockHandler(IQHandler):
    """Unblock some JIDs, or all (§3.4, §3.5)."""

    lists: Blocklists

    query = qname(NS, "unblock")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        account = asked.address
        unblocked = await self.lists.named(iq)
        await self.lists.privacy_changes.unblock(account, unblocked or None)
        self.lists.push(account, "unblock", unblocked)


def read_report(account: JID, jid: JID, item: Tree, now: float) -> Report | None:
    """The report in a block, cut to what is kept; None without one, or without a reason."""
    report = item.find(REPORT)
    reason = "" if report is None else report.get("reason", "")
    if report is None or not reason:
        return None
    ids = [found.get("id", "")[:MAX_ID_LENGTH] for found in report.findall(STANZA_ID)]
    return Report(
        account.bare,
        jid.full,
        reason[:MAX_REASON_LENGTH],
        now,
        text=(report.findtext(TEXT) or "").strip()[:MAX_TEXT_LENGTH],
        messages=tuple(ids[:MAX_MESSAGES]),
        forward=tuple(name for name in FORWARD if report.find(qname(REPORTING, name)) is not None),
    )


def items(element: str, jids: Iterable[JID]) -> bytes:
    """An element with an item for each JID."""
    inside = "".join(f"<item jid='{escape(jid.full)}'/>" for jid in jids)
    return f"<{element} xmlns='{NS}'>{inside}</{element}>".encode()


def plug(
    privacy_lists: PrivacyListManager,
    privacy_changes: PrivacyChanges,
    reports: Reports,
    turns: Turns,
    clocks: Clocks,
) -> list[Part]:
    """The parts of this feature."""
    lists = Blocklists(privacy_lists, privacy_changes, turns)
    return [
        IQBlocklistHandler(lists),
        IQBlockHandler(lists, reports, clocks),
        IQUnblockHandler(lists),
        Says(DiscoInfo(features=(REPORTING,))),
        On(BlocklistChanged, lists.changed),
        On(SessionClosed, lists.closed),
        SessionState(NS, lists.have_asked, lambda _: lists.ask),
    ]
