"""An example of an interceptor: messages with bad words are changed, with worse words refused.

Put a copy into the directory of ``[plugins]`` and change the words.
"""

import re
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

from xmppd.plugin.place import Part
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Condition, Message, Stanza, StanzaError

MASKED = ("zounds", "gadzooks")
REFUSED = ("villain",)
S = TypeVar("S", bound=Stanza)


def any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for any of these words, as whole words and in any case."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class WordFilter(PacketInterceptor):
    """Looks at messages as they come in, once for all recipients.

    It declares incoming messages and nothing else: presence and iq never pass through here, and
    outgoing stanzas are not slowed down.
    """

    masked: re.Pattern[str]
    refused: re.Pattern[str]

    incoming_kinds = (Message,)

    def incoming(self, stanza: S, session: JID) -> S:
        body = stanza.payload.tree.findtext("body")
        if not body:
            return stanza
        if self.refused.search(body):
            raise StanzaError(Condition.POLICY_VIOLATION, "mind your language")
        if not self.masked.search(body):
            return stanza
        tree = deepcopy(stanza.payload.tree)  # a payload is shared, so it is not changed in place
        for said in tree.iterfind("body"):
            said.text = self.masked.sub(lambda word: "*" * len(word[0]), said.text or "")
        return stanza.from_tree(tree, stanza.sender)


def plug() -> list[Part]:
    """The parts of this plugin."""
    return [WordFilter(any_of(MASKED), any_of(REFUSED))]
