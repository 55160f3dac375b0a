"""Exporter: writes people down as :xep:`0227` has them, a file for each."""

import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from xmppd.host.turns import Turns
from xmppd.migration import pie
from xmppd.migration.archive_ids import without_archive_ids
from xmppd.migration.service_data import ServiceDataTable
from xmppd.migration.user_data import UserDataTable
from xmppd.stanza import JID, Message, Presence, escape, ns
from xmppd.store.accounts import AccountInfo
from xmppd.store.store import Store

ACCOUNTS_PER_PAGE = 1_000
MESSAGES_PER_PAGE = 200
MAX_NAME_BYTES = 200
"""Of a file: a longer name is replaced by its digest."""


class Exporter:
    """Writes accounts, with keys in place of passwords.

    Args:
        store: Has them.
        user_data: Has what is more than an account.
        service_data: Has what is of no account.
        turns: Others have theirs in between.
    """

    def __init__(
        self,
        store: Store,
        user_data: UserDataTable,
        service_data: ServiceDataTable,
        turns: Turns,
    ) -> None:
        self.store = store
        self.user_data = user_data
        self.service_data = service_data
        self.turns = turns

    async def write(
        self, directory: Path, domains: Iterable[str], only: frozenset[str]
    ) -> AsyncIterator[str]:
        """Write accounts into a directory that is new or empty; gives each when its file is there.

        A file is a document of its own, called by its account: so Prosody finds it, and ejabberd
        takes it from the main file, since it reads whole documents only.

        Args:
            directory: Is made if need be.
            domains: Those of which all accounts are written.
            only: The accounts, if not all of them are.

        Raises:
            OSError: It cannot be written, or has something in it.
            StoreError: The database cannot be read.
        """
        directory.mkdir(mode=0o700, exist_ok=True)
        if any(directory.iterdir()):
            raise FileExistsError(f"{directory} is not empty")
        written = []
        for domain in domains:
            async for info in self._accounts(domain):
                if only and info.account not in only:
                    continue
                name = _file_name(info.account)
                with _private(directory / name) as file:
                    async for piece in self.person(info):
                        file.write(piece)
                written.append(_included(directory, name))
                yield info.account
                await self.turns.next()
        with _private(directory / pie.MAIN_FILE) as file:  # last: with it, all is there
            file.write(_including(written))

    async def write_services(self, directory: Path) -> AsyncIterator[str]:
        """Write what is of no account beside what is; gives each file.

        Args:
            directory: With the accounts.

        Raises:
            OSError: It cannot be written.
            StoreError: The database cannot be read.
        """
        for data in self.service_data.all():
            file: BinaryIO | None = None
            with ExitStack() as files:
                async for line in data.written():
                    if file is None:
                        file = files.enter_context(_private(directory / data.file))
                    file.write(line + b"\n")
                    await self.turns.next()
            if file is not None:
                yield data.file

    async def _accounts(self, domain: str) -> AsyncIterator[AccountInfo]:
        after = ""
        while page := await self.store.accounts.accounts(
            domain, after=after, limit=ACCOUNTS_PER_PAGE
        ):
            for info in page:
                yield info
            after = page[-1].account

    async def person(self, info: AccountInfo) -> AsyncIterator[bytes]:
        """An account as a document of its own, in pieces."""
        account, store = JID.prepared(info.account), self.store
        yield (
            f"{_DECLARED}<server-data xmlns='{pie.NS}'>\n<host jid='{escape(account.domain)}'>\n"
            f"<user name='{escape(account.local or '')}'>\n"
        ).encode()
        last = (await store.presences.last_presence([account.bare])).get(account.bare)
        yield pie.written_account(info, None if last is None else last.status).encode()
        credentials = await store.accounts.credentials(account.bare)
        known = {} if credentials is None else credentials.keys
        keys = [known[hash] for hash in sorted(known)]
        for each in keys[:1]:
            yield pie.written_keys_twice(each).encode()
        for each in keys:
            yield pie.written_keys(each).encode()
        items = list((await store.rosters.roster(account.bare)).items)
        if items:
            yield "".join(pie.written_roster(items)).encode()
        for item in items:
            if item.pending_in is not None:
                request = Presence.from_bytes(item.pending_in)
                yield _in_client_namespace(request.wire()) + b"\n"
        async for piece in self._messages(account):
            yield piece
        for data in self.user_data.all():
            async for piece in data.written(account):
                yield piece
        yield b"</user>\n</host>\n</server-data>\n"

    async def _messages(self, account: JID) -> AsyncIterator[bytes]:
        offline, after, begun = self.store.offline, 0, False
        while page := await offline.offline_messages(
            account.bare, after=after, limit=MESSAGES_PER_PAGE
        ):
            if not begun:
                yield b"<offline-messages>"
                begun = True
            for waiting in page:
                message = Message.from_bytes(waiting.stanza)
                yield _in_client_namespace(without_archive_ids(message, account.bare).wire())
            after = page[-1].id
        if begun:
            yield b"</offline-messages>\n"


_DECLARED = "<?xml version='1.0' encoding='UTF-8'?>\n"
_QUOTED = frozenset("%#?")
"""The characters in names of accounts that mean something else in a reference to a file."""


def _in_client_namespace(stanza: bytes) -> bytes:
    """A stanza where another namespace holds."""
    name, space, rest = stanza.partition(b" ")
    return b"%b xmlns='%b'%b%b" % (name, ns.CLIENT.encode(), space, rest)


def _file_name(account: str) -> str:
    """The file of an account; that of a very long name is called by its digest."""
    return f"{account}.xml" if len(account.encode()) <= MAX_NAME_BYTES else _digest(account)


def _included(directory: Path, name: str) -> str:
    """What the main file calls a file. Nothing in it has to be quoted, which ejabberd does not
    undo: a file with such a name has another one beside it.
    """
    if _QUOTED.isdisjoint(name):
        return name
    other = _digest(name)
    (directory / other).hardlink_to(directory / name)
    return other


def _digest(name: str) -> str:
    return f"{sha256(name.encode()).hexdigest()}.xml"


def _including(files: Iterable[str]) -> bytes:
    """A document that is made of the hosts of others."""
    head = f"<server-data xmlns='{pie.NS}' xmlns:xi='{pie.XINCLUDE}'>\n"
    lines = "".join(
        f"<xi:include href='{escape(file)}' xpointer='{pie.HOST_OF}'/>\n" for file in files
    )
    return f"{_DECLARED}{head}{lines}</server-data>\n".encode()


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A new file that nobody else can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


__all__ = ["Exporter"]
