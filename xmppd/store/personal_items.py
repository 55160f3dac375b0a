"""PersonalItems: data that users keep on the server, such as their card or clients' settings."""

from dataclasses import dataclass
from xml.etree import ElementTree

from xmppd.config.config import ItemSettings
from xmppd.stanza import Condition, StanzaError
from xmppd.stanza.guests import is_guest
from xmppd.stanza.phrases import counted
from xmppd.store.errors import QuotaExceeded
from xmppd.store.items import Item, ItemStore
from xmppd.store.readable import readable


@dataclass(frozen=True)
class PersonalItems:
    """The items of accounts, each within the limits, and the stanza errors beyond.

    Attributes:
        store: Keeps them.
        limits: Of what one account may keep.
    """

    store: ItemStore
    limits: ItemSettings

    def check(self, value: bytes) -> None:
        """Refuse a value that is too large.

        Raises:
            StanzaError: NOT_ACCEPTABLE: it is too large.
        """
        if len(value) > self.limits.max_item_bytes:
            raise StanzaError(
                Condition.NOT_ACCEPTABLE,
                f"one item may have at most {self.limits.max_item_bytes} bytes",
            )

    async def elements(self, account: str, namespace: str) -> dict[str, bytes]:
        """The elements of an account in a namespace, by key, as bytes that a parser takes."""
        kept = await self.store.get_items(account, namespace)
        items = [Item(namespace, key, value) for key, value in kept.items()]
        return dict(await readable(self.store, account, items, _elements))

    async def keep(self, account: str, namespace: str, key: str, value: bytes | None) -> None:
        """Keep a value, or delete it (None).

        Raises:
            StanzaError: NOT_ACCEPTABLE: it is too large; RESOURCE_CONSTRAINT: there is no room;
                NOT_ALLOWED: a guest keeps nothing (BI-4).
        """
        if is_guest(account):
            raise StanzaError(Condition.NOT_ALLOWED, "guests cannot store anything")
        self.check(value or b"")
        limits = self.limits
        try:
            await self.store.set_item(
                account, namespace, key, value,
                max_items=limits.max_items, max_bytes=limits.max_bytes,
            )  # fmt: skip
        except QuotaExceeded as error:
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT,
                f"an account may store at most {counted(limits.max_items, 'item')} and "
                f"{counted(limits.max_bytes, 'byte')}",
            ) from error


def _elements(item: Item) -> tuple[str, bytes]:
    """Key and value of an item that is made of elements.

    Raises:
        ValueError: It is none any more.
    """
    try:
        tree = ElementTree.fromstring(b"<kept>%b</kept>" % item.value)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    if not len(tree) or tree.text or any(inner.tail for inner in tree):
        raise ValueError("not made of elements")
    return item.key, item.value
