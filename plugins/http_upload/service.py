"""UploadService: gives slots to the accounts of a domain."""

from collections.abc import Callable

from xmppd.components.service import Service
from xmppd.components.service_domains import ServiceDomains
from xmppd.disco.disco import DiscoAnswer
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.stanza import IQ, Condition, Element, StanzaError, escape, qname
from xmppd.stanza.date_time import microseconds_of
from xmppd.stanza.form import Field, result
from xmppd.stanza.xml import namespace_of

from .slots import Purpose, Slot
from .uploads import NS, Uploads, Wish
from .web import BEARER, url_path

SUBDOMAIN = "upload."
IDENTITY = DiscoIdentity("store", "file", "Files")
PURPOSE = "urn:xmpp:http:upload:purpose:0"

_MAX_DIGITS = 18
"""Of a size: a number with more is cut, and as much larger than any file may be as before."""

_PURPOSES: dict[str, Purpose] = {
    qname(PURPOSE, "message"): "message",
    qname(PURPOSE, "profile"): "profile",
    qname(PURPOSE, "ephemeral"): "ephemeral",
    qname(PURPOSE, "permanent"): "permanent",
}


class IQSlotHandler(IQHandler):
    """Give a slot to whoever has an account here.

    Args:
        uploads: All files.
        base_url: The URL of this server on the web; None if nothing serves it.
        domain: That of the accounts.
    """

    query = qname(NS, "request")
    features = (NS,)

    def __init__(
        self, uploads: Uploads, base_url: Callable[[str], str | None], domain: str
    ) -> None:
        self.uploads = uploads
        self.base_url = base_url
        self.domain = domain

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        if asked.asker is None:
            raise StanzaError(
                Condition.NOT_ALLOWED, "only accounts of this server may upload files"
            )
        base = self.base_url(self.domain)
        if base is None:
            raise StanzaError(
                Condition.SERVICE_UNAVAILABLE,
                "this server has no web address; its administrator must set web.url",
            )
        slot = await self.uploads.slot(iq.sender.to_bare(), _wish(iq.query))
        return self._answer(slot, base)

    def _answer(self, slot: Slot, base: str) -> bytes:
        url = escape(base + url_path(slot.id, slot.name))
        storage = self.uploads.storage
        if storage is not None:
            there = storage.get_url(slot)
            get = url if there is None else escape(there)
            put = escape(storage.put_url(slot))
            return f"<slot xmlns='{NS}'><put url='{put}'/><get url='{get}'/></slot>".encode()
        token = BEARER + self.uploads.signer.token(slot)
        return (
            f"<slot xmlns='{NS}'><put url='{url}'><header name='Authorization'>{token}</header>"
            f"</put><get url='{url}'/></slot>"
        ).encode()


class UploadService(Service):
    """Files at ``upload.`` and a domain of ours (:xep:`0363`).

    Args:
        services: Its place.
        domain: That of the accounts.
        uploads: All files.
        base_url: The URL of this server on the web; None if nothing serves it.
    """

    def __init__(
        self,
        services: ServiceDomains,
        domain: str,
        uploads: Uploads,
        base_url: Callable[[str], str | None],
    ) -> None:
        handler = IQSlotHandler(uploads, base_url, domain)
        super().__init__(services, SUBDOMAIN + domain, IDENTITY, handler)
        self.uploads = uploads

    def says(self, question: DiscoQuestion) -> DiscoAnswer:
        if question.node or question.entity.local is not None:
            return None
        settings = self.uploads.settings
        purposes = ["message", "profile", "ephemeral"]
        if settings.permanent:
            purposes.append("permanent")
        most = Field("max-file-size", values=(str(settings.max_file_bytes),))
        return DiscoInfo(
            features=tuple(f"{PURPOSE}#{purpose}" for purpose in purposes),
            forms=(result(NS, most),),
        )


def _wish(request: Element) -> Wish:
    """What a request asks for.

    Raises:
        StanzaError: BAD_REQUEST: it does not say that.
    """
    name, size = request.get("filename", ""), request.get("size", "")
    if not name:
        raise StanzaError(Condition.BAD_REQUEST, "filename is missing")
    digits = size.lstrip("0")
    if not (digits.isascii() and digits.isdigit()):
        raise StanzaError(Condition.BAD_REQUEST, "size must be a number of bytes")
    purpose, expires = _purpose(request)
    return Wish(name, int(digits[:_MAX_DIGITS]), request.get("content-type", ""), purpose, expires)


def _purpose(request: Element) -> tuple[Purpose, float | None]:
    tags = [str(child.tag) for child in request]
    found = [
        child for child, tag in zip(request, tags, strict=True) if namespace_of(tag) == PURPOSE
    ]
    if not found:
        return "message", None
    if len(found) > 1 or str(found[0].tag) not in _PURPOSES:
        raise StanzaError(Condition.BAD_REQUEST, "unknown purpose")
    purpose = _PURPOSES[str(found[0].tag)]
    if purpose != "ephemeral":
        return purpose, None
    try:
        return purpose, microseconds_of(found[0].get("expire-before", "")) / 1e6
    except ValueError:
        raise StanzaError(
            Condition.BAD_REQUEST, "expire-before is not a valid date and time"
        ) from None


__all__ = ["SUBDOMAIN", "UploadService"]
