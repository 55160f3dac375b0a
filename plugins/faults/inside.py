"""Faults inside the server: of logins, tokens, requests and the store."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from typing_extensions import override

from xmppd.auth.base import SASLError
from xmppd.auth.providers import AuthProviders
from xmppd.auth.tokens import KeptToken, Tokens
from xmppd.events import Undo
from xmppd.message.decision import Cell, Decision
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.session.interceptor_manager import PacketInterceptor, S
from xmppd.stanza import IQ, JID, Condition, Message, StanzaError
from xmppd.stanza.names import namespace_of
from xmppd.store.database import Columns, Database, NewRows, Parameters, T, no_check
from xmppd.store.errors import StoreError
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.sql import Connection, Select

from .table import FaultTable

CONDITIONS = {condition.tag: condition for condition in Condition}


def taken_in(thing: object, kind: type, faults: FaultTable) -> Undo:
    """Make a part of the server an instance of a subclass that knows the faults, as
    :class:`~xmppd.plugin.seams.Seams` does; returns what makes it again what it was.
    """
    before = thing.__class__
    vars(thing)["faults"] = faults
    thing.__class__ = kind

    def undo() -> None:
        thing.__class__ = before
        del vars(thing)["faults"]

    return undo


class RefusingProviders(AuthProviders):
    """Refuses logins of which that was asked, whichever mechanism they come by."""

    faults: FaultTable

    @override
    async def may_log_in(self, account: str) -> bool:
        fault = self.faults.first((account,), "login")
        if fault is not None:
            self.faults.happens(fault)
            raise SASLError(fault.condition, fault.text or None, account=account)
        return await super().may_log_in(account)


class EndedTokens(Tokens):
    """Has the tokens of accounts end that were issued before somebody asked for that."""

    faults: FaultTable

    @override
    async def held(self, account: str, device: str, mechanism: str) -> tuple[KeptToken, ...]:
        held = await super().held(account, device, mechanism)
        ends = [fault.since for fault in self.faults.found((account,), "token")]
        return tuple(
            replace(each, ended=each.ended or any(each.token.issued <= end for end in ends))
            for each in held
        )


class SlowDatabase(Database):
    """Waits before each call, while that is asked for.

    Args:
        database: The one that is called then.
        faults: Of which some ask for that.
        clock: The reactor's.
    """

    def __init__(self, database: Database, faults: FaultTable, clock: IReactorTime) -> None:
        self.alone, self.shared = database.alone, database.shared
        self._database, self._faults, self._clock = database, faults, clock

    async def _wait(self, limit_s: float = CALL_LIMIT_S) -> None:
        delay_s = sum(fault.delay_s for fault in self._faults.found((), "store"))
        if delay_s:
            await deferLater(self._clock, min(delay_s, limit_s), lambda: None)
        if delay_s >= limit_s:
            raise StoreError(f"The database did not answer within {limit_s:g} s.")

    @override
    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        await self._database.open(upgrade, may_create)

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        await self._wait()
        return await self._database.read(query, parameters)

    @override
    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        await self._wait(limit_s)
        return await self._database.write(change, limit_s)

    @override
    async def append(
        self,
        *parts: NewRows,
        check: Callable[[], None] = no_check,
        limit_s: float = CALL_LIMIT_S,
    ) -> None:
        await self._wait(limit_s)
        await self._database.append(*parts, check=check, limit_s=limit_s)

    @override
    def free_bytes(self) -> float:
        return self._database.free_bytes()

    @override
    async def close(self) -> None:
        await self._database.close()


class IQFaults(PacketInterceptor):
    """Answers requests with an error, or never.

    Args:
        faults: Of which some ask for that.
    """

    incoming_kinds = (IQ,)

    def __init__(self, faults: FaultTable) -> None:
        self._faults = faults

    def incoming(self, stanza: S, session: JID) -> S | None:
        if stanza.type not in ("get", "set"):
            return stanza
        for fault in self._faults.found((session.full, session.bare), "iq"):
            if fault.match.containing in namespaces_of(stanza):
                self._faults.happens(fault)
                if not fault.condition:
                    return None
                raise StanzaError(CONDITIONS[fault.condition], fault.text or None)
        return stanza


def namespaces_of(iq: S) -> tuple[str, ...]:
    """The namespace of what is asked, and nothing, which is in every request."""
    children = iq.payload.tree
    return "", *(namespace_of(child.tag) for child in children[:1])


def full_offline_store(faults: FaultTable) -> type[OfflineMessageStrategy]:
    """The stage for which the store of some accounts is full."""

    class FullOfflineStore(OfflineMessageStrategy):
        """Keeps nothing for accounts of which that was asked, and says so as it does when theirs is
        full (OM-4).
        """

        @override
        async def nobody_there(self, message: Message, decision: Decision) -> Decision:
            assert message.to is not None, "it is addressed"
            if faults.first((message.to.bare,), "offline") is not None:
                found = await self.decide(message, decision)
                if found.bounced:
                    raise found.refusal()
                if found.cell is not Cell.KEPT:
                    return found
                raise StanzaError(
                    Condition.SERVICE_UNAVAILABLE, f"{message.to.bare} has no room for more"
                )
            return await super().nobody_there(message, decision)

    return FullOfflineStore
