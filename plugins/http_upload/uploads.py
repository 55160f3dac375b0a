"""Uploads: who may upload what, the files that were, and their end."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import NamedTuple

from twisted.logger import Logger

from xmppd.auth.base import RunInThread
from xmppd.host.clocks import Clocks
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza import JID, Condition, ErrorType, StanzaError
from xmppd.stanza.date_time import date_time
from xmppd.stanza.phrases import counted
from xmppd.store.errors import ChangeRefused, QuotaExceeded
from xmppd.store.sql import Connection, Database, digest, lock_owner
from xmppd.web.request import BodyStream

from . import tables as t
from .folder import Folder, Part
from .names import clean_name, is_media_type
from .settings import UploadSettings
from .slots import SLOT_S, Purpose, Slot, SlotSigner, new_id
from .storage import storage_of

NS = "urn:xmpp:http:upload:0"
DAY_S = 86_400.0
MAX_UPLOAD_S = 3_600.0
"""An upload that has not ended by then is given up, so that its place is free again."""

FILES_PER_SLICE = 1_000
MAX_COUNTED = 10_000
KEY_BYTES = 32

_log = Logger()


class AlreadyThere(ChangeRefused):
    """An error: this file was uploaded, or is just being so."""


class FileTooLarge(StanzaError):
    """An error: no file is that large here."""

    def __init__(self, most: int) -> None:
        super().__init__(
            Condition.NOT_ACCEPTABLE,
            f"a file may have at most {most} bytes",
            application=(NS, "file-too-large"),
        )
        self.inner = f"<max-file-size>{most}</max-file-size>"


class WrongSize(ValueError):
    """An error: it is not as large as was said.

    Attributes:
        is_larger: Whether it is larger.
    """

    def __init__(self, said: int, *, is_larger: bool) -> None:
        super().__init__(
            f"the slot is for {counted(said, 'byte')}, but this file has "
            f"{'more' if is_larger else 'fewer'}"
        )
        self.is_larger = is_larger


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is there.

    Attributes:
        path: Where.
        name: For people.
        type: Its media type, as whoever has uploaded it says; empty if they do not.
        size: Its bytes.
    """

    path: Path
    name: str
    type: str
    size: int


class FileRecord(NamedTuple):
    """A file in the list of its account.

    Attributes:
        id: In its URL.
        name: For people.
        type: Its media type; empty if it is not known.
        size: Its bytes.
        began: When it was uploaded, in seconds since 1970.
        expires: When it is deleted, in seconds since 1970; None for never.
    """

    id: bytes
    name: str
    type: str
    size: int
    began: float
    expires: float | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks a slot for.

    Attributes:
        name: Of the file.
        size: Its bytes.
        type: Its media type; empty if it is not known.
        purpose: What it is for.
        expires: When it may be gone, in seconds since 1970; None where that is not said.
    """

    name: str
    size: int
    type: str = ""
    purpose: Purpose = "message"
    expires: float | None = None


class Uploads:
    """The files of all accounts.

    Args:
        database: Knows them.
        run_in_thread: Does what has to do with the disk.
        clocks: Tell the time.
        settings: The limits.

    Attributes:
        folder: Has them.
        stored: How many files were stored since the start.
        stored_bytes: Their bytes.
        storage: Another service that has the bytes; None if the folder has them.
        kept_bytes: The bytes of all files when they were added up last, and of those since.
    """

    signer: SlotSigner

    def __init__(
        self,
        database: Database,
        run_in_thread: RunInThread,
        clocks: Clocks,
        settings: UploadSettings,
    ) -> None:
        self.database = database
        self.run_in_thread = run_in_thread
        self.clocks = clocks
        self.wall_clock = clocks.wall_clock
        self.settings = settings
        self.folder = Folder(Path(settings.directory))
        self.storage = storage_of(settings, clocks.wall_clock, run_in_thread)
        self.stored = self.stored_bytes = self.kept_bytes = 0

    def use(self, settings: UploadSettings) -> None:
        """Take other limits."""
        self.settings = settings

    async def open(self) -> None:
        """Have what is needed before the first slot.

        Raises:
            StoreError: The database fails.
            PluginError: The directory cannot be made or written.
        """
        if self.storage is None:
            try:
                await self.run_in_thread(self.folder.open)
            except OSError as error:
                raise PluginError(
                    f"http_upload.directory {self.folder.path} cannot be written ({error.strerror})"
                ) from error
        self.signer = SlotSigner(await self.database.write(_key))
        if not self.database.shared:
            await self.database.write(_end_of_gone)
            await self._end_what_has_ended(began_before=self.wall_clock() + 1.0)
        self.kept_bytes = await self.database.write(_added_up)

    # -- the right to upload ----------------------------------------------------------------------

    async def slot(self, account: JID, wish: Wish) -> Slot:
        """The right to upload a file. Where another service takes it, nobody here hears that it
        has, so that it counts from now on.

        Args:
            account: The uploader's.
            wish: The file.

        Raises:
            StanzaError: It is too large, or there is no room for it.
        """
        self._check(wish)
        now = self.wall_clock()
        try:
            await self._check_room(account, wish.size, now)
        except QuotaExceeded as error:
            raise self._full(str(error), await self._room_again(account, now)) from None
        kept_s = self.settings.kept_s
        expires = now + kept_s if kept_s and wish.purpose != "permanent" else None
        if wish.expires is not None:
            expires = min(wish.expires, expires or wish.expires)
        slot = Slot(
            new_id(), account.bare, clean_name(wish.name), wish.size, wish.type, wish.purpose,
            now + SLOT_S, expires,
        )  # fmt: skip
        if self.storage is not None:
            await self.database.write(partial(_take, slot=slot, now=now, most=self.settings))
            self._stored(slot)
        return slot

    def _stored(self, slot: Slot) -> None:
        self.stored += 1
        self.stored_bytes += slot.size
        self.kept_bytes += slot.size

    def _check(self, wish: Wish) -> None:
        most = self.settings.max_file_bytes
        if wish.size > most:
            raise FileTooLarge(most)
        if wish.type and not is_media_type(wish.type):
            raise StanzaError(Condition.BAD_REQUEST, "content-type is not a media type")
        if wish.purpose == "permanent" and not self.settings.permanent:
            raise StanzaError(Condition.NOT_ALLOWED, "this server does not keep files for ever")
        if wish.expires is not None and wish.expires <= self.wall_clock():
            raise StanzaError(Condition.BAD_REQUEST, "expire-before is in the past")

    async def _check_room(self, account: JID, size: int, now: float) -> None:
        if self.storage is None:
            free = await self.run_in_thread(self.folder.free_bytes)
            if free - size < self.settings.min_free_bytes:
                raise QuotaExceeded("this server has no room left for files")
        check = partial(_check_quota, account=account.bare, size=size, now=now, most=self.settings)
        await self.database.write(check)

    async def _room_again(self, account: JID, now: float) -> float:
        """When the oldest file of the last day counts no longer."""
        lately = {"account_": account.bare, "since": now - DAY_S}
        [(_, _, began)] = await self.database.read(t.LATELY, lately)
        return (began or now) + DAY_S

    def _full(self, why: str, again: float) -> StanzaError:
        return StanzaError(
            Condition.RESOURCE_CONSTRAINT,
            why,
            type=ErrorType.WAIT,
            application=(NS, "retry"),
            attribute=("stamp", date_time(again)),
        )

    # -- uploading --------------------------------------------------------------------------------

    async def take(self, slot: Slot, body: BodyStream) -> None:
        """Store a file (HU-3).

        Args:
            slot: What it is to be.
            body: Its bytes.

        Raises:
            AlreadyThere: It was stored before, or is being so.
            QuotaExceeded: There is no room any more.
            WrongSize: It is more or less than the slot is for.
            BodyLost: The connection was lost.
            OSError: The disk fails.
            StoreError: The database fails.
        """
        now = self.wall_clock()
        free = await self.run_in_thread(self.folder.free_bytes)
        if free - slot.size < self.settings.min_free_bytes:
            raise QuotaExceeded("this server has no room left for files")
        await self.database.write(partial(_reserve, slot=slot, now=now, most=self.settings))
        try:
            part = await self.run_in_thread(self.folder.begin, slot.id)
            try:
                await self._write(part, slot.size, body)
            except Exception:
                await self.run_in_thread(part.drop)
                raise
            finished = partial(_finish, file=slot.id, now=self.wall_clock())
            await self.database.write(finished)
        except Exception:
            await self.remove(slot.id)
            raise
        self._stored(slot)

    async def _write(self, part: Part, size: int, body: BodyStream) -> None:
        written, until = 0, self.clocks.seconds() + MAX_UPLOAD_S
        if body.length is not None and body.length != size:
            raise WrongSize(size, is_larger=body.length > size)
        async for piece in body:
            written += len(piece)
            if written > size:
                raise WrongSize(size, is_larger=True)
            if self.clocks.seconds() > until:
                raise QuotaExceeded("the upload took too long")
            await self.run_in_thread(part.write, piece)
        if written < size:
            raise WrongSize(size, is_larger=False)
        await self.run_in_thread(part.finish)

    # -- reading ----------------------------------------------------------------------------------

    async def find(self, id: bytes) -> Upload | None:
        """A file; None if it was never there, or is no more."""
        for name, type, size, stored, expires in await self.database.read(t.FILE, {"file": id}):
            if stored is not None and (expires is None or expires > self.wall_clock()):
                return Upload(self.folder.file(id), name, type, size)
        return None

    async def of_account(self, account: JID) -> list[FileRecord]:
        """The files of an account, the first ones first."""
        rows = await self.database.read(t.LIST, {"account_": account.bare})
        return [FileRecord(*row) for row in rows]

    # -- the end ----------------------------------------------------------------------------------

    async def end_all(self, account: JID) -> None:
        """Remove all files of an account."""
        await self.database.write(partial(_end_all, account=account.bare))
        await self.sweep()

    async def over(self) -> int:
        """How many files :meth:`sweep` would remove; it counts no further than to
        :data:`MAX_COUNTED`.
        """
        began_before = self.wall_clock() - 2 * MAX_UPLOAD_S
        most = {"now": self.wall_clock(), "began_before": began_before, "limit": MAX_COUNTED}
        return len(await self.database.read(t.OVER, most))

    async def sweep(self) -> None:
        """Remove the files whose time is over or whose account is gone, and what never came to an
        end (HU-5).
        """
        await self.database.write(_end_of_gone)
        await self._end_what_has_ended(began_before=self.wall_clock() - 2 * MAX_UPLOAD_S)
        self.kept_bytes = await self.database.write(_added_up)

    async def _end_what_has_ended(self, began_before: float) -> None:
        while True:
            over = await self.database.read(
                t.OVER,
                {"now": self.wall_clock(), "began_before": began_before, "limit": FILES_PER_SLICE},
            )
            removed = [await self.remove(id) for (id,) in over]
            if len(over) < FILES_PER_SLICE or not all(removed):
                return

    async def remove(self, id: bytes) -> bool:
        """Remove a file, then the row: what is in between two of them is removed again, and so is
        what another service has not removed.
        """
        try:
            if self.storage is None:
                await self.run_in_thread(self.folder.remove, id)
            else:
                await self.storage.remove(id)
        except OSError as error:
            _log.error("the file {id} cannot be removed: {error}", id=id.hex(), error=error)
            if self.storage is not None:
                return False
        await self.database.write(partial(_forget, file=id))
        return True


def _key(connection: Connection) -> bytes:
    row = {"name": "slots", "value": token_bytes(KEY_BYTES)}
    connection.execute(t.KEEP_KEY.on(connection), row)
    key: bytes = connection.execute(t.KEY).scalar_one()
    return key


def _added_up(connection: Connection) -> int:
    """The bytes of all files; a change, so that a thread adds them up."""
    return int(connection.execute(t.EVERYTHING).scalar_one())


def _check_quota(
    connection: Connection, account: str, size: int, now: float, most: UploadSettings
) -> None:
    """Refuse a file for which an account has no room (HU-4)."""
    total, _ = connection.execute(t.ALL, {"account_": account}).one()
    if total + size > most.max_account_bytes:
        raise QuotaExceeded(
            f"your files take up {total} of the {counted(most.max_account_bytes, 'byte')} "
            "that you may use; delete some first"
        )
    lately, count, _ = connection.execute(
        t.LATELY, {"account_": account, "since": now - DAY_S}
    ).one()
    if count >= most.max_account_files_per_day:
        raise QuotaExceeded(f"the limit is {counted(most.max_account_files_per_day, 'file')} a day")
    if lately + size > most.max_account_bytes_per_day:
        raise QuotaExceeded(f"the limit is {counted(most.max_account_bytes_per_day, 'byte')} a day")


def _reserve(connection: Connection, slot: Slot, now: float, most: UploadSettings) -> None:
    lock_owner(connection, slot.owner)
    _check_quota(connection, slot.owner, slot.size, now, most)
    row = {
        "id": slot.id,
        "account": slot.owner,
        "name": slot.name,
        "type": slot.type,
        "size": slot.size,
        "began": now,
        "expires": slot.expires,
    }
    if connection.execute(t.ADD.on(connection), row).one_or_none() is None:
        raise AlreadyThere("this slot was already used")


def _take(connection: Connection, slot: Slot, now: float, most: UploadSettings) -> None:
    """Count a file that another service has, or is about to."""
    _reserve(connection, slot, now, most)
    _finish(connection, slot.id, now)


def _end_of_gone(connection: Connection) -> None:
    """End the files of accounts that are not there any more: this process may have been killed
    between the end of an account and that of its files.
    """
    after = ""
    while True:
        page = {"after": after, "limit": FILES_PER_SLICE}
        names = [name for (name,) in connection.execute(t.WHOSE, page)]
        owners = {digest(name): name for name in names}
        for (owner,) in connection.execute(t.THERE, {"owners": list(owners)}):
            del owners[bytes(owner)]
        for name in owners.values():
            _end_all(connection, name)
        if len(names) < FILES_PER_SLICE:
            return
        after = names[-1]


def _finish(connection: Connection, file: bytes, now: float) -> None:
    connection.execute(t.FINISH, {"file": file, "now": now})


def _forget(connection: Connection, file: bytes) -> None:
    connection.execute(t.REMOVE, {"file": file})


def _end_all(connection: Connection, account: str) -> None:
    connection.execute(t.END_ALL, {"account_": account})


__all__ = ["NS", "AlreadyThere", "FileRecord", "Upload", "Uploads", "Wish", "WrongSize"]
