"""Search for rooms by words (:xep:`0433`)."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.stanza import (
    IQ,
    Condition,
    Element,
    ErrorType,
    StanzaError,
    child,
    element,
    parse,
    qname,
)
from xmppd.stanza.form import DATA, Field, form, values_of
from xmppd.stanza.form_field import FlagField
from xmppd.stanza.rsm import PageRequest, page_of, page_request

from .config import RoomConfig
from .hall import Hall
from .room import Room
from .store import RoomStore

BASE = "urn:xmpp:channel-search:0"
SEARCH, PARAMETERS = f"{BASE}:search", f"{BASE}:search-params"
BY_USERS, BY_ADDRESS = f"{{{BASE}:order}}nusers", f"{{{BASE}:order}}address"
MAX_ITEMS = 100
"""Rooms in one answer."""

MAX_SEARCHED = 5_000
"""Rooms that one search looks at, by address."""

MAX_WORDS = 10
MIN_WORD_LENGTH = 2
PER_READ = 500
WRONG_WORDS = f"search for 1 to {MAX_WORDS} words of at least {MIN_WORD_LENGTH} letters"

_IN_NAME, _IN_DESCRIPTION, _IN_ADDRESS = "sinname", "sindescription", "sinaddress"
PLACES = (_IN_NAME, _IN_DESCRIPTION, _IN_ADDRESS)
_FORM = qname(DATA, "x")


class FoundRoom(Struct, frozen=True):
    """A room that was found.

    Attributes:
        address: Its bare JID.
        config: How it is configured.
        users: How many are in.
    """

    address: str
    config: RoomConfig
    users: int


class IQChannelSearchHandler(IQHandler):
    """Answer with the rooms that are for everybody and have some words, in pages (RM-67).

    Args:
        hall: Where the rooms are.
    """

    query = qname(SEARCH, "search")
    features = (SEARCH,)

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    async def on_get(self, iq: IQ, asked: Asked) -> Element:
        query = iq.payload.tree[0]
        filled = query.find(_FORM)
        if filled is None:
            answer = element(SEARCH, "search")
            answer.append(_form())
            return answer
        values = values_of(filled, PARAMETERS)
        words, places, order = _words(values), _places(values), _order(values)
        page = page_request(query, usual=MAX_ITEMS, most=MAX_ITEMS) or PageRequest(MAX_ITEMS)
        found = await find_rooms(self.hall, asked.address.domain, words, places)
        if order == BY_ADDRESS:
            found.sort(key=lambda room: room.address)
        return _result(found, page)


async def find_rooms(
    hall: Hall, service: str, words: Sequence[str], places: Collection[str] = PLACES
) -> list[FoundRoom]:
    """The rooms of a service that are for everybody and have all words, those first in which most
    people are.
    """
    looked_at = await public_rooms(hall.rooms.store, hall.rooms.loaded, service, MAX_SEARCHED)
    found = [each for each in looked_at if _has(each, words, places)]
    return sorted(found, key=lambda room: (-room.users, room.address))


async def public_rooms(
    store: RoomStore, loaded: Mapping[str, Room | None], service: str, most: int
) -> list[FoundRoom]:
    """The rooms of a service that are for everybody, by address, as many as are looked at."""
    found, after = list[FoundRoom](), ""
    while len(found) < most:
        limit = min(PER_READ, most - len(found))
        page = await store.public(service, limit, after)
        for name, config in page:
            room = loaded.get(name)
            found.append(FoundRoom(name, config, 0 if room is None else len(room.occupants)))
        if len(page) < limit:
            break
        after = page[-1][0]
    return found


def _form() -> Element:
    return form(
        PARAMETERS,
        "Search for rooms",
        "",
        Field("q", "Search for"),
        Field("all", "All rooms", "boolean", values=("0",)),
        Field(_IN_NAME, "Search in name", "boolean", values=("1",)),
        Field(_IN_DESCRIPTION, "Search in description", "boolean", values=("1",)),
        Field(_IN_ADDRESS, "Search in address", "boolean", values=("1",)),
        Field("key", "Order", "list-single", options=(BY_USERS, BY_ADDRESS), values=(BY_USERS,)),
    )


def _words(values: Mapping[str, Sequence[str]]) -> list[str]:
    """The words that are searched for; none if all rooms are wanted.

    Raises:
        StanzaError: There are none, or they are too short or too many; or all rooms are wanted as
            well.
    """
    text = " ".join(values.get("q", ()))
    if _flag(values, "all", default=False):
        if text:
            raise _wrong("conflicting-fields", "search for words, or ask for all rooms")
        return []
    if "q" not in values:
        raise _wrong("no-search-conditions", "choose what to search, or ask for all rooms")
    words = words_of(text)
    if not words:
        raise _wrong("invalid-search-terms", WRONG_WORDS)
    return words


def words_of(text: str) -> list[str]:
    """The words of a text; none if there are too many, or some are too short."""
    words = text.casefold().split()
    is_wrong = len(words) > MAX_WORDS or any(len(word) < MIN_WORD_LENGTH for word in words)
    return [] if is_wrong else words


def _places(values: Mapping[str, Sequence[str]]) -> set[str]:
    """Where words are searched for."""
    return {place for place in PLACES if _flag(values, place, default=True)}


def _order(values: Mapping[str, Sequence[str]]) -> str:
    """By what rooms are ordered.

    Raises:
        StanzaError: FEATURE_NOT_IMPLEMENTED: by something else.
    """
    order = next(iter(values.get("key", ())), BY_USERS)
    if order not in (BY_USERS, BY_ADDRESS):
        raise StanzaError(
            Condition.FEATURE_NOT_IMPLEMENTED,
            type=ErrorType.MODIFY,
            application=(f"{BASE}:error", "invalid-sort-key"),
        )
    return order


def _flag(values: Mapping[str, Sequence[str]], var: str, *, default: bool) -> bool:
    if not values.get(var):
        return default
    try:
        return FlagField().read(values[var])
    except ValueError as error:
        raise StanzaError(Condition.BAD_REQUEST, f"{var} {error}") from error


def _wrong(name: str, text: str) -> StanzaError:
    return StanzaError(Condition.BAD_REQUEST, text, application=(f"{BASE}:error", name))


def _has(room: FoundRoom, words: Sequence[str], places: Collection[str]) -> bool:
    """Whether a room has all words, wherever they are searched for."""
    texts = {
        _IN_NAME: room.config.roomname,
        _IN_DESCRIPTION: room.config.roomdesc,
        _IN_ADDRESS: room.address,
    }
    text = "\n".join(texts[place] for place in places).casefold()
    return all(word in text for word in words)


def _result(found: Sequence[FoundRoom], page: PageRequest) -> Element:
    answer = element(SEARCH, "result")
    cut = page_of([each.address for each in found], page)
    for each in found[cut.start : cut.end]:
        config = each.config
        item = child(answer, "item", address=each.address)
        child(item, "name", config.roomname or each.address.partition("@")[0])
        if config.roomdesc:
            child(item, "description", config.roomdesc)
        if config.lang:
            child(item, "language", config.lang)
        child(item, "nusers", str(each.users))
        child(item, "service-type", "xep-0045")
        is_open = not config.membersonly and not config.passwordprotectedroom
        child(item, "is-open", "true" if is_open else "false")
        mode = "muc_semianonymous" if config.is_anonymous else f"{{{BASE}:anonymity}}none"
        child(item, "anonymity-mode", mode)
    answer.append(parse(cut.given))
    return answer


__all__ = [
    "MAX_ITEMS",
    "MAX_SEARCHED",
    "SEARCH",
    "WRONG_WORDS",
    "FoundRoom",
    "IQChannelSearchHandler",
    "find_rooms",
    "public_rooms",
    "words_of",
]
