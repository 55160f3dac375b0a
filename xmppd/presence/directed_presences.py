"""Who was told in private, and is owed a goodbye."""

from xmppd.stanza import JID, Condition, StanzaError

MAX_PER_SESSION = 1_000


class DirectedPresences:
    """For each session, whom it sent presence beside its roster (:rfc:`6121#section-4.6`)."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[str, JID]] = {}

    def sent(self, sender: JID, to: JID) -> None:
        """Remember an available presence (DP-2).

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: it was sent to too many already.
        """
        receivers = self._sent.setdefault(sender.full, {})
        if len(receivers) >= MAX_PER_SESSION and to.full not in receivers:
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT,
                f"presence was sent to {MAX_PER_SESSION} addresses; say goodbye to some first",
            )
        receivers[to.full] = to

    def withdrawn(self, sender: JID, to: JID) -> None:
        """An unavailable presence was sent there: nothing is owed any more (DP-3)."""
        receivers = self._sent.get(sender.full)
        if receivers is not None:
            receivers.pop(to.full, None)
            if not receivers:
                del self._sent[sender.full]

    def receivers(self, sender: JID) -> tuple[JID, ...]:
        """All who are owed a goodbye."""
        return tuple(self._sent.get(sender.full, {}).values())

    def knows(self, sender: JID, viewer: JID) -> bool:
        """Whether the viewer was told by this session (DP-5); whole addresses are compared."""
        receivers = self._sent.get(sender.full, {})
        return viewer.full in receivers or viewer.bare in receivers

    def has_told(self, sender: JID, contact: JID) -> bool:
        """Whether this session told any address of this contact, such as one of a room."""
        receivers = self._sent.get(sender.full, {}).values()
        return any(receiver.bare == contact.bare for receiver in receivers)

    def pop_contact(self, sender: JID, contact: JID) -> tuple[JID, ...]:
        """Those of this contact's addresses who are owed a goodbye, and are not from now on."""
        receivers = self._sent.get(sender.full, {})
        told = tuple(jid for jid in receivers.values() if jid.bare == contact.bare)
        for jid in told:
            self.withdrawn(sender, jid)
        return told

    def pop(self, sender: JID) -> tuple[JID, ...]:
        """All who are owed a goodbye, and nobody is from now on (DP-4)."""
        return tuple(self._sent.pop(sender.full, {}).values())
