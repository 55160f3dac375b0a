"""Preferences as accounts ask for them (:xep:`0441`)."""

from dataclasses import dataclass
from typing import ClassVar, get_args

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import IQ, JID, Condition, StanzaError, Tree, escape, qname
from xmppd.stanza.form import MAX_PREPARING_US
from xmppd.stanza.jid import effort
from xmppd.stanza.result import MAM

from .preferences import MAX_JIDS, Preference, Preferences
from .requests import check_has_archive
from .settings import Default

_DEFAULTS: dict[str, Default] = {word: word for word in get_args(Default)}
_LISTS = ("always", "never")
_JID = qname(MAM, "jid")


@dataclass(frozen=True)
class IQArchivePreferencesHandler(IQHandler):
    """Tell an account whose messages it has archived, and change that."""

    preferences: Preferences

    query = qname(MAM, "prefs")
    to = To.OWN_ACCOUNT
    refusal: ClassVar[Condition] = Condition.FORBIDDEN

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        check_has_archive(asked.address)
        return written(self.preferences.of(asked.address.bare))

    async def on_set(self, iq: IQ, asked: Asked) -> bytes:
        check_has_archive(asked.address)
        wanted = read(iq.payload.tree[0])
        if not self.preferences.may_change:
            raise StanzaError(
                Condition.NOT_ALLOWED, "all accounts of this server share one setting"
            )
        await self.preferences.set(asked.address, wanted)
        return written(wanted)


def written(preference: Preference) -> bytes:
    """Preferences as an element."""
    lists = "".join(
        f"<{name}>{''.join(f'<jid>{escape(jid)}</jid>' for jid in sorted(jids))}</{name}>"
        for name, jids in (("always", preference.always), ("never", preference.never))
    )
    return f"<prefs xmlns='{MAM}' default='{preference.default}'>{lists}</prefs>".encode()


def read(tree: Tree) -> Preference:
    """The preferences that an element says.

    Raises:
        StanzaError: BAD_REQUEST: there is no such default; JID_MALFORMED: something named is no
            JID; NOT_ACCEPTABLE: too many are named.
    """
    default = _DEFAULTS.get(tree.get("default", ""))
    if default is None:
        raise StanzaError(
            Condition.BAD_REQUEST, f"the default must be one of {', '.join(_DEFAULTS)}"
        )
    named = {name: list(tree.iterfind(f"{qname(MAM, name)}/{_JID}")) for name in _LISTS}
    if sum(map(len, named.values())) > MAX_JIDS:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"at most {MAX_JIDS} JIDs are allowed")
    limit_us = effort.spent_us + MAX_PREPARING_US
    always, never = (frozenset(_prepared(each, limit_us) for each in named[n]) for n in _LISTS)
    return Preference(default, always, never)


def _prepared(named: Tree, limit_us: int) -> str:
    if effort.spent_us >= limit_us:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "too many addresses with non-ASCII letters")
    try:
        return JID.parse((named.text or "").strip()).full
    except ValueError as error:
        raise StanzaError(Condition.JID_MALFORMED, str(error)) from error


__all__ = ["IQArchivePreferencesHandler"]
