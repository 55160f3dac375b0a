"""The form of a room's configuration."""

from collections.abc import Sequence

from hypothesis import given
from msgspec.structs import fields, replace
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.muc.rooms_of_all_kinds import configs
from xmppd.stanza import JID, Element, StanzaError
from xmppd.stanza.form import Field, submission
from xmppd_plugins.muc.config import AllowPM, RoomConfig, Whois
from xmppd_plugins.muc.config_form import (
    ROOM_CONFIG,
    FilledForm,
    changes_form,
    codes_of_change,
    config_form,
    filled_form,
)
from xmppd_plugins.muc.ranks import Role

ROOM = JID.parse("coven@conference.verona.lit")
ROMEO, JULIET = "romeo@verona.lit", "juliet@verona.lit"
PASSWORD = RoomConfig(passwordprotectedroom=True, roomsecret="cauldronburn")


def submitted(**values: str | Sequence[str]) -> Element:
    """A form that is filled in, by the names of fields without their usual prefix."""
    return written({f"muc#roomconfig_{name}": value for name, value in values.items()})


def written(values: dict[str, str | Sequence[str]]) -> Element:
    """The same by their whole names."""
    lines = [
        Field(var, values=(value,) if isinstance(value, str) else tuple(value))
        for var, value in values.items()
    ]
    return submission(ROOM_CONFIG, *lines)


class ConfigFormTests(SynchronousTestCase):
    """What a form does."""

    def refused(self, config: RoomConfig, answer: Element) -> tuple[str, str]:
        error: StanzaError = self.assertRaises(StanzaError, filled_form, config, answer)
        return error.condition.tag, error.text or ""

    @given(configs())
    def test_all_fields(self, config: RoomConfig) -> None:
        """A form that is sent back as it came makes the configuration that it was made of."""
        form = config_form(ROOM, config, (JULIET,), (ROMEO,))
        self.assertEqual(filled_form(RoomConfig(), form), FilledForm(config, (JULIET,), (ROMEO,)))

    def test_each_field(self) -> None:
        """Each attribute of a configuration has a field of its own."""
        names = {field.name for field in fields(RoomConfig)}
        form = config_form(ROOM, RoomConfig(), (), ())
        lines = {line.get("var", "") for line in form.iterfind("{jabber:x:data}field")}
        names -= {"avatarhash"}  # which follows from the card
        for name in names - {"mam", "maxhistoryfetch"}:
            self.assertIn(f"muc#roomconfig_{name}", lines)
        self.assertIn("muc#maxhistoryfetch", lines)
        self.assertIn("muc#roomconfig_enablearchiving", lines)
        self.assertEqual(len(lines), len(names) + len(("FORM_TYPE", "roomadmins", "roomowners")))

    def test_left_out(self) -> None:
        """What a form does not say stays, also who leads the room (RM-57)."""
        config = RoomConfig(roomname="Coven", maxusers=10, whois=Whois.ANYONE)
        filled = filled_form(config, submitted(roomdesc="A dark cave"))
        self.assertEqual(filled, FilledForm(replace(config, roomdesc="A dark cave")))

    def test_unknown(self) -> None:
        """Fields that nobody knows change nothing, however many there are (RM-57)."""
        unknown = {f"{{http://verona.lit}}{number}" + "x" * 200: "1" for number in range(50)}
        filled = filled_form(RoomConfig(), written({**unknown, "muc#roomconfig_roomname": "a"}))
        self.assertEqual(filled.config, RoomConfig(roomname="a"))

    def test_out_of_range(self) -> None:
        """A value that is none is refused by the name of its field (RM-57)."""
        for name, value in (
            ("maxusers", "0"),
            ("maxusers", "10001"),
            ("maxusers", "many"),
            ("maxusers", ""),
            ("slow_mode_duration", "86401"),
            ("slow_mode_duration", "-1"),
            ("slow_mode_duration", "1" * 5_000),
            ("persistentroom", "yes"),
            ("whois", "participants"),
            ("allowpm", "moderator"),
            ("presencebroadcast", ["moderator", "owner"]),
            ("getmemberlist", ["none"]),
            ("roomadmins", ["@"]),
            ("roomowners", ["verona.lit"]),
            ("contactjid", ["@"]),
            ("roomname", ["one", "two"]),
        ):
            with self.subTest(f"{name}: {value[:20]}"):
                condition, text = self.refused(RoomConfig(), submitted(**{name: value}))
                self.assertEqual(condition, "not-acceptable")
                self.assertIn(f"muc#roomconfig_{name}", text)

    def test_history(self) -> None:
        """The number of messages that are fetched has a name of its own, and ends at 100."""
        filled = filled_form(RoomConfig(), written({"muc#maxhistoryfetch": "100"}))
        self.assertEqual(filled.config.maxhistoryfetch, 100)
        wrong = written({"muc#maxhistoryfetch": "101"})
        self.assertIn("muc#maxhistoryfetch", self.refused(RoomConfig(), wrong)[1])

    def test_archive(self) -> None:
        """The archive is switched off by any name that clients have for it (RM-46)."""
        for var in ("mam", "muc#roomconfig_mam", "muc#roomconfig_enablearchiving"):
            with self.subTest(var):
                self.assertFalse(filled_form(RoomConfig(), written({var: "0"})).config.mam)

    def test_other_form(self) -> None:
        """Another form configures no room."""
        other = submission("jabber:iq:register", Field("muc#roomconfig_roomname", values=("a",)))
        self.assertEqual(self.refused(RoomConfig(), other)[0], "bad-request")

    def test_password(self) -> None:
        """A password is on if one is given, and off, and forgotten, if the flag says so."""
        config = filled_form(RoomConfig(), submitted(roomsecret="cauldronburn")).config
        self.assertEqual(config, PASSWORD)
        off = submitted(passwordprotectedroom="0", roomsecret="cauldronburn")
        self.assertEqual(filled_form(PASSWORD, off).config, RoomConfig())
        on = submitted(passwordprotectedroom="1", roomsecret="double")
        self.assertEqual(filled_form(PASSWORD, on).config.roomsecret, "double")
        kept = filled_form(PASSWORD, submitted(passwordprotectedroom="1")).config
        self.assertEqual(kept, PASSWORD)

    def test_no_password(self) -> None:
        """A room that is to have a password is given one."""
        flag = submitted(passwordprotectedroom="1")
        self.assertEqual(self.refused(RoomConfig(), flag)[0], "not-acceptable")
        self.assertIn("roomsecret", self.refused(PASSWORD, submitted(roomsecret=""))[1])

    def test_leaders(self) -> None:
        """Lists of admins and owners are whole, of bare JIDs, and name an owner."""
        lists = submitted(roomadmins=[f"{JULIET}/1", JULIET], roomowners=ROMEO)
        filled = filled_form(RoomConfig(), lists)
        self.assertEqual((filled.admins, filled.owners), ((JULIET,), (ROMEO,)))
        self.assertEqual(filled_form(RoomConfig(), submitted(roomadmins=[])).admins, ())
        self.assertEqual(self.refused(RoomConfig(), submitted(roomowners=[]))[0], "conflict")

    def test_by_name(self) -> None:
        """An operator changes fields by their names."""
        changes = changes_form({"maxusers": ["none"], "presencebroadcast": [], "mam": ["0"]})
        config = RoomConfig(maxusers=None, presencebroadcast=frozenset[Role](), mam=False)
        self.assertEqual(filled_form(RoomConfig(), changes).config, config)
        wrong: StanzaError = self.assertRaises(StanzaError, changes_form, {"walls": ["4"]})
        self.assertIn("maxusers", wrong.text or "")


class CodeTests(SynchronousTestCase):
    """What a change is called (RM-20)."""

    def test_codes(self) -> None:
        """Each change has its code, and several have all of them once."""
        before = RoomConfig()
        for now, codes in (
            (before, ()),
            (replace(before, roomname="Coven"), (104,)),
            (replace(before, roomname="Coven", allowpm=AllowPM.NONE, lock_nicks=True), (104,)),
            (replace(before, enablelogging=True), (170,)),
            (replace(before, whois=Whois.ANYONE), (172,)),
            (replace(before, show_unavailable_members=True), (102,)),
            (replace(before, whois=Whois.ANYONE, membersonly=True), (104, 172)),
        ):
            with self.subTest(f"{now}"):
                self.assertEqual(codes_of_change(before, now), codes)

    def test_back(self) -> None:
        """What is switched off has another code than what is switched on."""
        on = RoomConfig(enablelogging=True, whois=Whois.ANYONE, show_unavailable_members=True)
        self.assertEqual(codes_of_change(on, RoomConfig()), (103, 171, 173))
