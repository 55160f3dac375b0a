"""XEP-0115: Entity Capabilities. A hash in the stream features saves clients asking the server."""

from base64 import b64encode
from dataclasses import dataclass, field, replace
from hashlib import sha1

from xmppd.disco.disco import Disco, Says
from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.events import On
from xmppd.plugin.place import Part
from xmppd.plugin.plugin_manager import PluginsChanged
from xmppd.stanza import JID, Element, qname
from xmppd.stanza.form import DATA
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature

NS = "http://jabber.org/protocol/caps"
NODE = "urn:xmppd"
_FIELD, _VALUE = qname(DATA, "field"), qname(DATA, "value")


@dataclass
class ServerCapabilities:
    """The disco#info of each domain, kept together with its hash. It is made once after each change
    of plugins, so that the node of a hash is answered with what was hashed.
    """

    disco: Disco
    _known: dict[str, tuple[str, DiscoInfo]] = field(default_factory=dict)  # by domain of ours

    def of(self, domain: str) -> tuple[str, DiscoInfo]:
        """The hash of a domain's capabilities, and these."""
        if domain not in self._known:
            server = JID.parse(domain)
            info = self.disco.server(DiscoQuestion(server, server))
            self._known[domain] = verification_string(info), info
        return self._known[domain]

    def forget(self, event: PluginsChanged) -> None:
        """Forget all hashes, since the server's features have changed."""
        self._known.clear()

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The stream feature (§6.3)."""
        ver, _ = self.of(negotiation.domain)
        return f"<c xmlns='{NS}' hash='sha-1' node='{NODE}' ver='{ver}'/>".encode()

    def say(self, question: DiscoQuestion) -> DiscoInfo | None:
        """Answer the node of a hash with what was hashed (§6.2); it has no items."""
        ver, info = self.of(question.entity.domain)
        return replace(info, items=()) if question.node == f"{NODE}#{ver}" else None


def verification_string(info: DiscoInfo) -> str:
    """The value of ``ver``: disco#info in one order only, hashed (§5.1)."""
    identities = sorted((i.category, i.kind, i.lang, i.name) for i in info.identities)
    parts = ["/".join(identity) for identity in identities]
    parts += sorted(info.features)
    forms = [fields for fields in map(_fields, info.forms) if fields.get("FORM_TYPE")]
    for form in sorted(forms, key=_form_type):
        parts.append(_form_type(form))
        for var in sorted(form.keys() - {"FORM_TYPE"}):
            parts += [var, *sorted(form[var])]
    text = "".join(f"{part}<" for part in parts)
    return b64encode(sha1(text.encode(), usedforsecurity=False).digest()).decode()


def _fields(form: Element) -> dict[str, list[str]]:
    """A form's values by field."""
    return {
        field.get("var", ""): [value.text or "" for value in field.iterfind(_VALUE)]
        for field in form.iterfind(_FIELD)
    }


def _form_type(form: dict[str, list[str]]) -> str:
    return form["FORM_TYPE"][0]


def plug(disco: Disco) -> list[Part]:
    """The parts of this feature; the plugin disco answers for the node."""
    capabilities = ServerCapabilities(disco)
    return [
        StreamFeature(capabilities.advertise, needs=Stream.AUTHENTICATED),
        Says(DiscoInfo(features=(NS,))),
        Says(answer=capabilities.say, nodes=True),
        On(PluginsChanged, capabilities.forget),
    ]
