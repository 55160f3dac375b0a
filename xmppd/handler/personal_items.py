"""What people keep on the server: their card, their clients' settings."""

from dataclasses import dataclass

from xmppd.config import Items
from xmppd.stanza import Condition, StanzaError
from xmppd.store.base import ItemStore, QuotaExceeded


@dataclass(frozen=True)
class PersonalItems:
    """The items of accounts, each within the limits; refused in words that the sender understands.

    Attributes:
        store: Where they are.
        limits: What one account may keep.
    """

    store: ItemStore
    limits: Items

    def check(self, value: bytes) -> None:
        """Whether a value may be kept at all.

        Raises:
            StanzaError: NOT_ACCEPTABLE: it is too large.
        """
        if len(value) > self.limits.max_item_bytes:
            raise StanzaError(
                Condition.NOT_ACCEPTABLE, f"one item has at most {self.limits.max_item_bytes} bytes"
            )

    async def keep(self, account: str, namespace: str, key: str, value: bytes | None) -> None:
        """Keep a value, or forget it (None).

        Raises:
            StanzaError: NOT_ACCEPTABLE: it is too large; RESOURCE_CONSTRAINT: there is no room.
        """
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
                f"an account keeps at most {limits.max_items} items and {limits.max_bytes} bytes",
            ) from error
