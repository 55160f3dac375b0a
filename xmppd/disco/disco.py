"""Disco: the answers of service discovery for the server, its accounts and its services."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from twisted.logger import Logger

from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.events import Undo
from xmppd.stanza import StanzaError

_log = Logger()


class Of(Enum):
    """The entities that something is said of, beside services.

    Attributes:
        SERVER: Each domain with accounts.
        ACCOUNT: Each account, for those that may know that there is one.
    """

    SERVER = auto()
    ACCOUNT = auto()


@dataclass(frozen=True, slots=True)
class EntitiesOf:
    """The entities at the domain of a service, such as a room; the part that knows one answers."""

    domain: str


Subject = Of | str | EntitiesOf
"""Of whom something is said: a service by its domain."""

NOTHING = DiscoInfo()
DiscoAnswer = DiscoInfo | None | Awaitable[DiscoInfo | None]
"""What is said of an entity or a node, at once or later; None of one that is not known."""


@dataclass(frozen=True, eq=False)
class Says:
    """A part of an answer of service discovery (:xep:`0030`).

    Attributes:
        info: The part of every answer about the entity itself.
        of: The entity.
        answer: Makes the part that depends on the question, or None. For the server itself it may
            not wait.
        nodes: Whether it answers for nodes of the entity instead of the entity itself; None then
            means that it knows no such node.
    """

    info: DiscoInfo = NOTHING
    of: Subject = Of.SERVER
    answer: Callable[[DiscoQuestion], DiscoAnswer] | None = None
    nodes: bool = False


class Disco:
    """The place of all parts of answers, by entity."""

    def __init__(self) -> None:
        self._rows: dict[Subject, tuple[tuple[Says, str], ...]] = {}

    def put(self, part: Says, owner: str) -> Undo:
        """Add a part behind all others."""
        of, row = part.of, (part, owner)
        self._rows[of] = (*self._rows.get(of, ()), row)

        def take_out() -> None:
            kept = tuple(known for known in self._rows.pop(of) if known is not row)
            if kept:
                self._rows[of] = kept

        return take_out

    async def ask(self, of: Subject, question: DiscoQuestion) -> DiscoInfo | None:
        """The answer for an entity or a node; None if there is none.

        Raises:
            StanzaError: The asker may not know.
        """
        found = []
        for answer, owner in self._answers(of, question):
            try:
                found.append(await answer if isinstance(answer, Awaitable) else answer)
            except StanzaError:
                raise
            except Exception:
                _failed(owner)
        said = [info for info in found if info is not None]
        return _joined(said) if said else None

    def server(self, question: DiscoQuestion) -> DiscoInfo:
        """The answer for the server itself, which never waits."""
        said = []
        for answer, owner in self._answers(Of.SERVER, question):
            if isinstance(answer, Awaitable):
                if isinstance(answer, Coroutine):
                    answer.close()
                _log.error(
                    "{owner} delayed the server's answer to a service discovery request",
                    owner=owner,
                )
            elif answer is not None:
                said.append(answer)
        return _joined(said)

    def _answers(self, of: Subject, question: DiscoQuestion) -> Iterator[tuple[DiscoAnswer, str]]:
        """The parts of an answer, each with its owner."""
        for part, owner in self._rows.get(of, ()):
            if not question.node and part.info is not NOTHING:
                yield part.info, owner
            if part.answer is not None and part.nodes is bool(question.node):
                try:
                    answer = part.answer(question)
                except StanzaError:
                    raise
                except Exception:
                    _failed(owner)
                else:
                    yield answer, owner


def _joined(said: list[DiscoInfo]) -> DiscoInfo:
    """The whole answer, with features in one order and each once."""
    return DiscoInfo(
        tuple(identity for info in said for identity in info.identities),
        tuple(sorted({feature for info in said for feature in info.features})),
        tuple(form for info in said for form in info.forms),
        tuple(item for info in said for item in info.items),
        b"".join(info.page for info in said),
    )


def _failed(owner: str) -> None:
    """The result of a part that has failed: nothing."""
    _log.failure("{owner} failed to answer a service discovery request", owner=owner)
