"""Reports about blocked JIDs, kept for the administrator (:xep:`0377`)."""

from dataclasses import dataclass

from msgspec import json

from xmppd.stanza import JID
from xmppd.stanza.date_time import date_time
from xmppd.store.items import Item, ItemStore
from xmppd.store.readable import readable

NS = "urn:xmpp:reporting:1"
MAX_REPORTS = 1_000
"""Of one domain; then the oldest makes way."""

MAX_PER_REPORTER = 50
"""Of one reporter, so that these do not push out the reports of others."""

MAX_TEXT_LENGTH = 1_000
MAX_REASON_LENGTH = 200
MAX_MESSAGES = 10
MAX_ID_LENGTH = 100
_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Report:
    """A report about a blocked JID.

    Attributes:
        reporter: Bare JID of the account that blocks.
        reported: The JID that is blocked.
        reason: A URN, such as ``urn:xmpp:reporting:spam``.
        stamp: When, in seconds since 1970.
        text: The reporter's words.
        messages: Ids in the archive of the messages it is about.
        forward: The reporter's consents: ``report-origin``, ``third-party``.
    """

    reporter: str
    reported: str
    reason: str
    stamp: float
    text: str = ""
    messages: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key under which it is kept: of two about the same JID the newer one."""
        return f"{self.reporter} {self.reported}"


class Reports:
    """The reports of each domain, within limits."""

    def __init__(self, store: ItemStore) -> None:
        self.store = store

    async def add(self, report: Report) -> None:
        """Keep a report; the oldest makes way where there is no room."""
        domain = JID.parse(report.reporter).domain
        kept = {known.key: known for known in await self.of(domain) if known.key != report.key}
        own = [known for known in kept.values() if known.reporter == report.reporter]
        gone = own[: len(own) - MAX_PER_REPORTER + 1] if len(own) >= MAX_PER_REPORTER else []
        if not gone and len(kept) >= MAX_REPORTS:
            gone = list(kept.values())[: len(kept) - MAX_REPORTS + 1]
        for old in gone:
            await self._set(domain, old.key, None)
        await self._set(domain, report.key, json.encode(report))

    async def of(self, domain: str) -> list[Report]:
        """The reports from accounts of a domain, oldest first."""
        kept = await self.store.get_items(domain, NS)
        items = (Item(NS, key, value) for key, value in kept.items())
        reports = await readable(self.store, domain, items, _read)
        return sorted(reports, key=lambda report: report.stamp)

    async def _set(self, domain: str, key: str, value: bytes | None) -> None:
        await self.store.set_item(
            domain, NS, key, value, max_items=2 * MAX_REPORTS, max_bytes=_MAX_BYTES
        )


def _read(item: Item) -> Report:
    """Read a stored report.

    Raises:
        ValueError: It names no JID, or no possible time.
    """
    report = json.decode(item.value, type=Report)
    JID.parse(report.reporter)
    date_time(report.stamp)
    return report


__all__ = ["MAX_PER_REPORTER", "MAX_REPORTS", "Report", "Reports"]
