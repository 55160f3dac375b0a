"""What presence and privacy want to know of sessions that outlive the server (RS-9)."""

from msgspec import Struct, json

from xmppd.presence.directed_presences import DirectedPresences
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_state import SessionState
from xmppd.stanza import JID


class _Privacy(Struct, frozen=True):
    """What is in force for a session beside its account's default list."""

    active: str | None
    invisible: bool
    probes: bool


def privacy_state(lists: PrivacyListManager) -> SessionState:
    """The list in force for a session, and whether it is invisible (PL-5, PL-10)."""

    def dump(session: LocalClientSession) -> bytes | None:
        privacy = session.privacy
        if privacy is None:
            return None
        return json.encode(_Privacy(privacy.active, privacy.invisible, privacy.probes))

    def load(session: LocalClientSession, data: bytes) -> None:
        saved = json.decode(data, type=_Privacy)
        session.privacy = lists.in_force(
            session.jid.to_bare(),
            active=saved.active,
            invisible=saved.invisible,
            probes=saved.probes,
        )

    return SessionState("privacy", dump, load)


def directed_state(directed: DirectedPresences) -> SessionState:
    """Who was told in private, and is owed a goodbye (DP-1)."""

    def dump(session: LocalClientSession) -> bytes | None:
        receivers = directed.receivers(session.jid)
        return json.encode([jid.full for jid in receivers]) if receivers else None

    def load(session: LocalClientSession, data: bytes) -> None:
        for receiver in json.decode(data, type=list[str]):
            directed.sent(session.jid, JID.parse(receiver))

    return SessionState("directed", dump, load)
