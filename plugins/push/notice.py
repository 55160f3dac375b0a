"""Notices: what a push service is told, and how that is written (:xep:`0357`)."""

from msgspec import Struct

from xmppd.message.follower import Course
from xmppd.message.worth import ENCRYPTED
from xmppd.stanza import Tree, child, dump, element, parse, qname
from xmppd.stanza.fate import PushFate, UnreadFate
from xmppd.stanza.form import Field, submission

from .registrations import Registration

NS = "urn:xmpp:push:0"
PUBSUB = "http://jabber.org/protocol/pubsub"
SUMMARY = "urn:xmpp:push:summary"
NEW_MESSAGE = "New message"
"""Stands for every text: services take a notification without one for unimportant."""

MAX_BODY_CHARACTERS = 200


class Notice(Struct, frozen=True):
    """Something that somebody who does not look is told of.

    Attributes:
        text: Whether there is something to read, or somebody calls.
        urgent: Whether it is told at once, however short the time since the last one (PN-5).
        counts: Whether it is one more unread message.
        cleared: Whether it only says that messages were seen on another device.
        sender: Full JID of the message's sender.
        body: The beginning of its text; empty if that is encrypted, or not to be told.
    """

    text: bool = False
    urgent: bool = False
    counts: bool = False
    cleared: bool = False
    sender: str = ""
    body: str = ""


SEEN = Notice(cleared=True)
ASKED = Notice()
"""Somebody asks something of a client or of its user, and waits for an answer."""


def notice_of(course: Course, include: str) -> Notice | None:
    """What is told of a message; None if it is not worth telling (PN-3).

    Args:
        course: The message, at its recipient's end.
        include: As in the settings.
    """
    fate = course.fate
    if fate.push is PushFate.NO:
        return None
    text = fate.push in (PushFate.MESSAGE, PushFate.CALL)
    sender = course.message.sender.full if text and include != "nothing" else ""
    return Notice(
        text,
        fate.push in (PushFate.CALL, PushFate.CALL_OVER),
        fate.unread is UnreadFate.MORE,
        sender=sender,
        body=beginning(course.tree) if text and include == "body" else "",
    )


def beginning(message: Tree) -> str:
    """The beginning of a text; what stands beside something encrypted is none."""
    if any(inner.tag in ENCRYPTED for inner in message):
        return ""
    return (message.findtext("body") or "")[:MAX_BODY_CHARACTERS]


def publish(registration: Registration, notice: Notice, counts: dict[str, int]) -> bytes:
    """The request by which a service is told (PN-4).

    Args:
        registration: With the service, which may want to see its options.
        notice: What it is told.
        counts: The fields of the summary that are numbers.
    """
    fields = [Field(name, values=(str(number),)) for name, number in counts.items()]
    if notice.sender:
        fields.append(Field("last-message-sender", "", "jid-single", values=(notice.sender,)))
    if notice.text:
        fields.append(Field("last-message-body", values=(notice.body or NEW_MESSAGE,)))
    request = element(PUBSUB, "pubsub")
    published = child(request, "publish")
    if registration.node:
        published.set("node", registration.node)
    notification = element(NS, "notification")
    notification.append(submission(SUMMARY, *fields))
    child(published, "item").append(notification)
    if registration.options:
        child(request, "publish-options").append(parse(registration.options))
    return dump(request)


def is_dismissed(course: Course, registration: Registration) -> bool:
    """Whether a message says that a service takes no notifications of a registration any more
    (:xep:`0357`, §8).
    """
    if course.message.sender.full != registration.service:
        return False
    return any(
        event.get("node", "") == registration.node and affiliation.get("affiliation") == "none"
        for space in (PUBSUB, f"{PUBSUB}#event")
        for event in course.tree.iterfind(qname(space, "pubsub"))
        for affiliation in event.iter(qname(space, "affiliation"))
    )


__all__ = [
    "ASKED",
    "NS",
    "PUBSUB",
    "SEEN",
    "Notice",
    "beginning",
    "is_dismissed",
    "notice_of",
    "publish",
]
