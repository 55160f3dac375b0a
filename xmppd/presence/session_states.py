"""States of presence and privacy that a session keeps over a restart (RS-9)."""

from msgspec import Struct, json, msgpack

from xmppd.cluster.node import NodeId
from xmppd.presence.directed_presences import DirectedPresences
from xmppd.presence.remote_presences import RemotePresences, SeenPresence
from xmppd.presence.sightings import Sightings
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_state import Put, SessionState
from xmppd.stanza import JID, Presence


class _Privacy(Struct, frozen=True):
    """The list in force for a session, if it is not its account's default list."""

    active: str | None
    invisible: bool
    probes: bool


class _Seen(Struct, frozen=True, array_like=True):
    """An address elsewhere that a session saw."""

    jid: str
    presence: bytes | None
    broadcast: bool
    in_person: bool


def privacy_state(lists: PrivacyListManager) -> SessionState:
    """The list in force for a session, and whether it is invisible (PL-5, PL-10)."""

    def dump(session: LocalClientSession) -> bytes | None:
        privacy = session.privacy
        if privacy is None:
            return None
        return json.encode(_Privacy(privacy.active, privacy.invisible, privacy.probes))

    def load(data: bytes) -> Put:
        saved = json.decode(data, type=_Privacy)

        def put(session: LocalClientSession) -> None:
            session.privacy = lists.in_force(
                session.jid.to_bare(),
                active=saved.active,
                invisible=saved.invisible,
                probes=saved.probes,
            )

        return put

    return SessionState("privacy", dump, load)


def directed_state(directed: DirectedPresences) -> SessionState:
    """The addressees of a session's directed presence (DP-1)."""

    def dump(session: LocalClientSession) -> bytes | None:
        receivers = directed.receivers(session.jid)
        return json.encode([jid.full for jid in receivers]) if receivers else None

    def load(data: bytes) -> Put:
        receivers = [JID.parse(receiver) for receiver in json.decode(data, type=list[str])]

        def put(session: LocalClientSession) -> None:
            for receiver in receivers:
                directed.sent(session.jid, receiver)

        return put

    return SessionState("directed", dump, load)


class _SeenAtNode(Struct, frozen=True, array_like=True):
    """A session of another node that a session saw."""

    jid: str
    node: str
    serial: int
    count: int


def sightings_state(sightings: Sightings) -> SessionState:
    """The sessions of other nodes that a session saw (CL-32)."""

    def dump(session: LocalClientSession) -> bytes | None:
        seen = [
            _SeenAtNode(full, str(node), order >> 48, order & (1 << 48) - 1)
            for full, node, order in sightings.seen_by(session)
        ]
        return msgpack.encode(seen) if seen else None

    def load(data: bytes) -> Put:
        seen = [
            (JID.parse(each.jid).full, NodeId.parse(each.node), each.serial << 48 | each.count)
            for each in msgpack.decode(data, type=list[_SeenAtNode])
        ]
        return lambda session: sightings.restore(session, seen)

    return SessionState("sightings", dump, load)


class _Handed(Struct, frozen=True, array_like=True):
    """A session of another node whose directed presence a session was handed."""

    jid: str
    node: str


def handed_state(sightings: Sightings) -> SessionState:
    """The sessions of other nodes whose directed presence a session was handed (CL-32)."""

    def dump(session: LocalClientSession) -> bytes | None:
        handed = [
            _Handed(full, str(node)) for full, node in sightings.handed_to(session.jid.full).items()
        ]
        return msgpack.encode(handed) if handed else None

    def load(data: bytes) -> Put:
        handed = [
            (JID.parse(each.jid).full, NodeId.parse(each.node))
            for each in msgpack.decode(data, type=list[_Handed])
        ]

        def put(session: LocalClientSession) -> None:
            for full, node in handed:
                sightings.handed(session.jid.full, full, node)

        return put

    return SessionState("handed", dump, load)


def seen_state(remote: RemotePresences) -> SessionState:
    """The addresses elsewhere that a session saw (RP-3)."""

    def dump(session: LocalClientSession) -> bytes | None:
        seen = [
            _Seen(
                seen_presence.jid.full,
                None if seen_presence.presence is None else seen_presence.presence.wire(),
                seen_presence.broadcast,
                seen_presence.in_person,
            )
            for seen_presence in remote.seen_by(session)
        ]
        return msgpack.encode(seen) if seen else None

    def load(data: bytes) -> Put:
        seen_presences = [
            SeenPresence(
                JID.parse(seen.jid),
                None if seen.presence is None else Presence.from_bytes(seen.presence),
                seen.broadcast,
                seen.in_person,
            )
            for seen in msgpack.decode(data, type=list[_Seen])
        ]
        return lambda session: remote.restore(session, seen_presences)

    return SessionState("seen", dump, load)
