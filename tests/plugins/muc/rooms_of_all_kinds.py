"""Rooms and configurations of all kinds, for tests of what has to hold for each field."""

from hypothesis import strategies as st
from msgspec.structs import replace

from xmppd.stanza import JID
from xmppd_plugins.muc.config import EVERYBODY, AllowPM, RoomConfig, Whois
from xmppd_plugins.muc.config_form import MAX_FETCHED, MAX_OCCUPANTS, MAX_SLOW_S
from xmppd_plugins.muc.occupant_ids import KEY_BYTES
from xmppd_plugins.muc.ranks import Role, RoomAffiliation
from xmppd_plugins.muc.state import Affiliated, Hat, KeptOccupant, KeptRoom

TEXTS = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cn")), max_size=20)
SECRETS = TEXTS.filter(bool)
PEOPLE = st.sampled_from(("romeo@verona.lit", "juliet@verona.lit", "ромео@verona.lit"))
ROLES = st.frozensets(st.sampled_from(sorted(EVERYBODY, key=lambda role: role.height)))


@st.composite
def configs(draw: st.DrawFn) -> RoomConfig:
    """Any configuration that a room may have."""
    secret = draw(st.one_of(st.just(""), SECRETS))
    return RoomConfig(
        roomname=draw(TEXTS),
        roomdesc=draw(TEXTS),
        lang=draw(TEXTS),
        pubsub=draw(TEXTS),
        contactjid=tuple(draw(st.lists(PEOPLE, unique=True))),
        persistentroom=draw(st.booleans()),
        publicroom=draw(st.booleans()),
        membersonly=draw(st.booleans()),
        moderatedroom=draw(st.booleans()),
        passwordprotectedroom=bool(secret),
        roomsecret=secret,
        whois=draw(st.sampled_from(Whois)),
        changesubject=draw(st.booleans()),
        allowinvites=draw(st.booleans()),
        allow_voice_requests=draw(st.booleans()),
        allow_visitor_status=draw(st.booleans()),
        allow_visitor_nickchange=draw(st.booleans()),
        allow_registration=draw(st.booleans()),
        allowpm=draw(st.sampled_from(AllowPM)),
        presencebroadcast=draw(ROLES),
        maxusers=draw(st.one_of(st.none(), st.integers(1, MAX_OCCUPANTS))),
        getmemberlist=draw(ROLES),
        enablelogging=draw(st.booleans()),
        mam=draw(st.booleans()),
        maxhistoryfetch=draw(st.integers(0, MAX_FETCHED)),
        slow_mode_duration=draw(st.integers(0, MAX_SLOW_S)),
        show_unavailable_members=draw(st.booleans()),
        lock_nicks=draw(st.booleans()),
        hats=draw(st.booleans()),
        tell_affected=draw(st.booleans()),
        mentions=draw(st.booleans()),
    )


NUMBERS = st.floats(0, 2**40, allow_nan=False)
VERSIONS = st.integers(0, 2**40)
LISTED = st.sampled_from([each for each in RoomAffiliation if each is not RoomAffiliation.NONE])
NAMES = ("coven@conference.verona.lit", "ведьмы@conference.verona.lit")
WHO = st.one_of(PEOPLE, st.just("capulet.lit"))


@st.composite
def rooms(draw: st.DrawFn) -> KeptRoom:
    """Any room that there may be."""
    affiliated = [
        Affiliated(jid, draw(LISTED), draw(TEXTS), draw(TEXTS), draw(TEXTS), draw(VERSIONS))
        for jid in draw(st.sets(WHO))
    ]
    hats = [
        Hat(uri, draw(TEXTS), draw(st.one_of(st.none(), NUMBERS)), tuple(sorted(people)))
        for uri, people in draw(st.dictionaries(TEXTS, st.sets(PEOPLE))).items()
    ]
    occupants = [
        KeptOccupant(
            session,
            draw(TEXTS),
            draw(st.sampled_from(Role)),
            draw(st.binary()),
            number,
            draw(st.sampled_from(("", "a.1"))),
        )
        for number, session in enumerate(draw(st.sets(PEOPLE)))
    ]
    return KeptRoom(
        jid=draw(
            st.sampled_from(("coven@conference.verona.lit", "ведьмы@conference.verona.lit")).map(
                JID.parse
            )
        ),
        config=replace(draw(configs()), avatarhash=draw(TEXTS)),
        key=draw(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)),
        created=draw(NUMBERS),
        creator=draw(st.one_of(st.just(""), PEOPLE)),
        locked=draw(st.booleans()),
        subject=draw(st.binary()),
        version=draw(VERSIONS),
        affiliated=tuple(sorted(affiliated, key=lambda each: (each.version, each.jid))),
        hats=tuple(sorted(hats, key=lambda hat: hat.uri)),
        occupants=tuple(occupants),
    )
