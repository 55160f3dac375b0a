"""SCRAM upgrade tasks (:xep:`0480`): a client brings a better key of the same password."""

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xmppd.auth.base import SASLError
from xmppd.auth.keys import SALT_BYTES, keys_of
from xmppd.auth.message import malformed, not_authorized
from xmppd.stanza import Tree, qname
from xmppd.store.accounts import AccountStore
from xmppd.store.scram_keys import ScramKeys

NS = "urn:xmpp:sasl:upgrade:0"
SCRAM = "urn:xmpp:scram-upgrade:0"
_HASH_BYTES = {"SHA-256": 32, "SHA-512": 64}
_WITH_PASSWORD = ("SCRAM-", "PLAIN")


@dataclass(frozen=True)
class Upgrade:
    """A task that a client has asked for and that an account needs.

    Attributes:
        account: Bare JID.
        hash: ``SHA-256`` or ``SHA-512``.
        iterations: PBKDF2 rounds of the new key.
        known: The account's keys when its owner proved to know the password.
        salt: Of the new key.
    """

    account: str
    hash: str
    iterations: int
    known: Mapping[str, ScramKeys]
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(SALT_BYTES))

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"UPGR-SCRAM-{self.hash}"

    @property
    def question(self) -> bytes:
        """The data of the task for the client."""
        salt = b64encode(self.salt).decode()
        return f"<salt xmlns='{SCRAM}' iterations='{self.iterations}'>{salt}</salt>".encode()

    def key(self, task_data: Tree) -> ScramKeys:
        """The key that the client's answer makes.

        Raises:
            SASLError: ``malformed-request``: it makes none.
        """
        text = (task_data.findtext(qname(SCRAM, "hash")) or "").strip()
        try:
            salted_password = b64decode(text, validate=True)
        except ValueError as error:
            raise SASLError("incorrect-encoding", "This is not Base64.") from error
        if len(salted_password) != _HASH_BYTES[self.hash]:
            raise malformed(f"not a SaltedPassword of {self.hash}")
        return keys_of(salted_password, self.hash, self.salt, self.iterations)


class ScramUpgrades:
    """Finds the keys to be upgraded, and stores new ones (UP-1 to UP-3).

    Args:
        store: The accounts.
        mechanisms: Those that the administrator allows.
        iterations: PBKDF2 rounds of passwords that are set now.
    """

    def __init__(self, store: AccountStore, mechanisms: Iterable[str], iterations: int) -> None:
        self.store = store
        self.iterations = iterations
        names = {name.removesuffix("-PLUS") for name in mechanisms}
        self.hashes = tuple(hash for hash in _HASH_BYTES if f"SCRAM-{hash}" in names)
        self.advertisement = "".join(
            f"<upgrade xmlns='{NS}'>UPGR-SCRAM-{hash}</upgrade>" for hash in self.hashes
        ).encode()

    async def wanted(self, tree: Tree, account: str, mechanism: str) -> list[Upgrade]:
        """The tasks to do before a client is told that it has logged in.

        Args:
            tree: Its ``<authenticate/>``.
            account: The account that it has proved.
            mechanism: Of the proof: without the password nothing is upgraded.
        """
        asked = {(element.text or "").strip() for element in tree.iterfind(qname(NS, "upgrade"))}
        if not asked or not mechanism.startswith(_WITH_PASSWORD):
            return []
        credentials = await self.store.credentials(account)
        if credentials is None or not credentials.keys:
            return []  # its password is kept elsewhere, and may change there
        return [
            Upgrade(account, hash, self.iterations, credentials.keys)
            for hash in self.hashes
            if f"UPGR-SCRAM-{hash}" in asked and self._needed(credentials.keys.get(hash))
        ]

    def _needed(self, key: ScramKeys | None) -> bool:
        return key is None or key.iterations < self.iterations

    async def keep(self, upgrade: Upgrade, task_data: Tree) -> Mapping[str, ScramKeys]:
        """Store the key that the client's answer makes.

        Returns:
            The account's keys now.

        Raises:
            SASLError: The answer is invalid, or the password has been changed meanwhile.
        """
        key = upgrade.key(task_data)
        if not await self.store.add_key(upgrade.account, key, upgrade.known):
            raise not_authorized()
        return {**upgrade.known, key.hash: key}
