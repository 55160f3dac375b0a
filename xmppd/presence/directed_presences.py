"""Directed presence: the addressees that have to be told "unavailable"."""

from xmppd.stanza import JID, Condition, StanzaError

MAX_PER_SESSION = 1_000


class DirectedPresences:
    """The addressees of each session's directed presence (:rfc:`6121#section-4.6`)."""

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
                f"directed presence went to {MAX_PER_SESSION} addresses already; send "
                "unavailable presence to some first",
            )
        receivers[to.full] = to

    def withdrawn(self, sender: JID, to: JID) -> None:
        """Forget an addressee that was sent an unavailable presence (DP-3)."""
        receivers = self._sent.get(sender.full)
        if receivers is not None:
            receivers.pop(to.full, None)
            if not receivers:
                del self._sent[sender.full]

    def receivers(self, sender: JID) -> tuple[JID, ...]:
        """All addressees of this session."""
        return tuple(self._sent.get(sender.full, {}).values())

    def senders_to(self, receiver: JID) -> list[str]:
        """The sessions that have sent directed presence to just this address; looks through all."""
        return [sender for sender, receivers in self._sent.items() if receiver.full in receivers]

    def knows(self, sender: JID, viewer: JID) -> bool:
        """Whether the viewer was sent directed presence by this session (DP-5); whole addresses are
        compared.
        """
        receivers = self._sent.get(sender.full, {})
        return viewer.full in receivers or viewer.bare in receivers

    def has_told(self, sender: JID, contact: JID) -> bool:
        """Whether any address of this contact, such as a room's occupant, was sent directed
        presence.
        """
        receivers = self._sent.get(sender.full, {}).values()
        return any(receiver.bare == contact.bare for receiver in receivers)

    def pop_contact(self, sender: JID, contact: JID) -> tuple[JID, ...]:
        """Remove and return the addressees that are addresses of this contact."""
        receivers = self._sent.get(sender.full, {})
        told = tuple(jid for jid in receivers.values() if jid.bare == contact.bare)
        for jid in told:
            self.withdrawn(sender, jid)
        return told

    def pop(self, sender: JID) -> tuple[JID, ...]:
        """Remove and return all addressees of this session (DP-4)."""
        return tuple(self._sent.pop(sender.full, {}).values())
