"""Who may do what in a room: all cells of the tables."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import JID, ErrorType, StanzaError
from xmppd_plugins.muc.config import AllowPM, RoomConfig, Whois
from xmppd_plugins.muc.privileges import (
    RolePrivilege,
    check_affiliated,
    check_affiliation_change,
    check_archive,
    check_enter,
    check_not_full,
    check_owner,
    check_password,
    check_read_list,
    check_register,
    check_role,
    check_role_change,
    first_role,
    may,
    role_after,
    role_under,
    sees_jids,
)
from xmppd_plugins.muc.ranks import Role, RoomAffiliation, RoomStanding

OUTCAST, NONE, MEMBER, ADMIN, OWNER = RoomAffiliation
ABSENT, VISITOR, PARTICIPANT, MODERATOR = Role

YES, NO = "yes", "no"
FORBIDDEN, NOT_ALLOWED, CONFLICT = "forbidden", "not-allowed", "conflict"
NOT_ACCEPTABLE, REGISTER = "not-acceptable", "registration-required"

OPEN = RoomConfig()
MODERATED = RoomConfig(moderatedroom=True)
MEMBERS = RoomConfig(membersonly=True)
NON_ANONYMOUS = RoomConfig(whois=Whois.ANYONE)
PASSWORD = RoomConfig(passwordprotectedroom=True, roomsecret="cauldronburn")

P = RolePrivilege
#                     none           visitor    participant moderator
ROLES: list[tuple[RolePrivilege, RoomConfig, tuple[str, ...]]] = [
    (P.HEAR, OPEN,            (NOT_ACCEPTABLE, YES,       YES,       YES)),
    (P.SEE, OPEN,             (NOT_ACCEPTABLE, YES,       YES,       YES)),
    (P.BE_SEEN, OPEN,         (NOT_ACCEPTABLE, YES,       YES,       YES)),
    (P.CHANGE_STATUS, OPEN,   (NOT_ACCEPTABLE, YES,       YES,       YES)),
    (P.CHANGE_NICK, OPEN,     (NOT_ACCEPTABLE, YES,       YES,       YES)),
    (P.CHANGE_NICK, MODERATED, (NOT_ACCEPTABLE, NOT_ALLOWED, YES,    YES)),
    (P.PRIVATE_MESSAGE, OPEN, (NOT_ACCEPTABLE, YES,       YES,       YES)),
    (P.INVITE, OPEN,          (NOT_ACCEPTABLE, FORBIDDEN, YES,       YES)),
    (P.INVITE, MEMBERS,       (NOT_ACCEPTABLE, FORBIDDEN, FORBIDDEN, YES)),
    (P.SPEAK, OPEN,           (NOT_ACCEPTABLE, FORBIDDEN, YES,       YES)),
    (P.SUBJECT, OPEN,         (NOT_ACCEPTABLE, FORBIDDEN, FORBIDDEN, YES)),
    (P.KICK, OPEN,            (FORBIDDEN,      FORBIDDEN, FORBIDDEN, YES)),
    (P.VOICE, OPEN,           (FORBIDDEN,      FORBIDDEN, FORBIDDEN, YES)),
    (P.MODERATE, OPEN,        (FORBIDDEN,      FORBIDDEN, FORBIDDEN, YES)),
    (P.ANSWER, OPEN,          (NOT_ACCEPTABLE, FORBIDDEN, FORBIDDEN, YES)),
    # what the configuration changes
    (P.BE_SEEN, RoomConfig(presencebroadcast=frozenset((MODERATOR,))),
                              (NOT_ACCEPTABLE, FORBIDDEN, FORBIDDEN, YES)),
    (P.BE_SEEN, RoomConfig(presencebroadcast=frozenset((VISITOR, PARTICIPANT))),
                              (NOT_ACCEPTABLE, YES,       YES,       FORBIDDEN)),
    (P.CHANGE_STATUS, RoomConfig(allow_visitor_status=False),
                              (NOT_ACCEPTABLE, FORBIDDEN, YES,       YES)),
    (P.CHANGE_NICK, RoomConfig(moderatedroom=True, allow_visitor_nickchange=True),
                              (NOT_ACCEPTABLE, YES,       YES,       YES)),
    (P.CHANGE_NICK, RoomConfig(lock_nicks=True),
                              (NOT_ACCEPTABLE, NOT_ACCEPTABLE, NOT_ACCEPTABLE, NOT_ACCEPTABLE)),
    (P.PRIVATE_MESSAGE, RoomConfig(allowpm=AllowPM.PARTICIPANTS),
                              (NOT_ACCEPTABLE, FORBIDDEN, YES,       YES)),
    (P.PRIVATE_MESSAGE, RoomConfig(allowpm=AllowPM.MODERATORS),
                              (NOT_ACCEPTABLE, FORBIDDEN, FORBIDDEN, YES)),
    (P.PRIVATE_MESSAGE, RoomConfig(allowpm=AllowPM.NONE),
                              (NOT_ACCEPTABLE, FORBIDDEN, FORBIDDEN, FORBIDDEN)),
    (P.INVITE, RoomConfig(membersonly=True, allowinvites=True),
                              (NOT_ACCEPTABLE, FORBIDDEN, YES,       YES)),
    (P.SUBJECT, RoomConfig(changesubject=True),
                              (NOT_ACCEPTABLE, FORBIDDEN, YES,       YES)),
]  # fmt: skip
"""What each role may do; to whom the configuration matters, more than once."""

#  from / to   outcast      none         member       admin      owner
BY_ADMIN = {
    OUTCAST: (YES,         YES,         YES,         FORBIDDEN, FORBIDDEN),
    NONE:    (YES,         YES,         YES,         FORBIDDEN, FORBIDDEN),
    MEMBER:  (YES,         YES,         YES,         FORBIDDEN, FORBIDDEN),
    ADMIN:   (NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, FORBIDDEN, FORBIDDEN),
    OWNER:   (NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, FORBIDDEN, FORBIDDEN),
}  # fmt: skip
"""What an admin may make of somebody else."""

LISTS: Mapping[tuple[RoomAffiliation | Role, RoomConfig], tuple[str, ...]] = {
    #                          outcast    none       member     admin owner
    (OUTCAST, OPEN):          (FORBIDDEN, FORBIDDEN, FORBIDDEN, YES, YES),
    (MEMBER, OPEN):           (FORBIDDEN, FORBIDDEN, FORBIDDEN, YES, YES),
    (MEMBER, NON_ANONYMOUS):  (FORBIDDEN, FORBIDDEN, YES,       YES, YES),
    (ADMIN, OPEN):            (FORBIDDEN, FORBIDDEN, FORBIDDEN, YES, YES),
    (ADMIN, NON_ANONYMOUS):   (FORBIDDEN, YES,       YES,       YES, YES),
    (OWNER, OPEN):            (FORBIDDEN, FORBIDDEN, FORBIDDEN, YES, YES),
    (OWNER, NON_ANONYMOUS):   (FORBIDDEN, YES,       YES,       YES, YES),
    (OUTCAST, NON_ANONYMOUS): (FORBIDDEN, FORBIDDEN, FORBIDDEN, YES, YES),
    (MODERATOR, OPEN):        (FORBIDDEN, FORBIDDEN, FORBIDDEN, YES, YES),
    (PARTICIPANT, OPEN):      (FORBIDDEN, FORBIDDEN, FORBIDDEN, YES, YES),
}  # fmt: skip
"""Who may read which list while they are a participant."""


def outcome(check: Callable[[], object]) -> str:
    """How a check ends."""
    try:
        check()
    except StanzaError as error:
        assert error.text, "who is refused is told why"
        return error.condition.tag
    return YES


class RoleTests(SynchronousTestCase):
    """What an occupant may do."""

    def test_table(self) -> None:
        """Each role may do what its cell says, as the room is configured."""
        for privilege, config, cells in ROLES:
            for role, expected in zip(Role, cells, strict=True):
                with self.subTest(f"{privilege.value}: {role.value}, {config}"):
                    somebody = RoomStanding(NONE, role)
                    found = outcome(partial(check_role, somebody, privilege, config))
                    self.assertEqual(found, expected)
                    self.assertIs(may(role, privilege, config), expected is YES)

    def test_all_rows(self) -> None:
        """No privilege is without a row."""
        self.assertEqual({privilege for privilege, _, _ in ROLES}, set(RolePrivilege))

    def test_leads_from_outside(self) -> None:
        """Admins and owners moderate without being in the room, and do nothing else there."""
        for affiliation, privilege in product((ADMIN, OWNER), RolePrivilege):
            with self.subTest(f"{affiliation.value}: {privilege.value}"):
                moderates = privilege in (P.KICK, P.VOICE, P.MODERATE)
                somebody = RoomStanding(affiliation)
                found = outcome(partial(check_role, somebody, privilege, OPEN))
                self.assertEqual(found, YES if moderates else NOT_ACCEPTABLE)

    def test_first_role(self) -> None:
        """Who enters has the first role of their affiliation in such a room."""
        table: Mapping[str, tuple[RoomConfig, tuple[Role, ...]]] = {
            #            outcast  none         member        admin     owner
            "open": (OPEN, (ABSENT, PARTICIPANT, PARTICIPANT, MODERATOR, MODERATOR)),
            "moderated": (MODERATED, (ABSENT, VISITOR, PARTICIPANT, MODERATOR, MODERATOR)),
            "members": (MEMBERS, (ABSENT, ABSENT, PARTICIPANT, MODERATOR, MODERATOR)),
        }
        for kind, (config, roles) in table.items():
            for affiliation, role in zip(RoomAffiliation, roles, strict=True):
                with self.subTest(f"{kind}: {affiliation.value}"):
                    self.assertIs(first_role(affiliation, config), role)

    def test_another_affiliation(self) -> None:
        """A higher affiliation raises the role, a lower one lowers it to its first (RM-6)."""
        for role, before, after, config, expected in (
            (VISITOR, NONE, MEMBER, MODERATED, PARTICIPANT),
            (PARTICIPANT, MEMBER, ADMIN, OPEN, MODERATOR),
            (MODERATOR, NONE, MEMBER, OPEN, MODERATOR),
            (MODERATOR, ADMIN, MEMBER, OPEN, PARTICIPANT),
            (PARTICIPANT, MEMBER, NONE, MODERATED, VISITOR),
            (VISITOR, MEMBER, NONE, OPEN, VISITOR),
            (PARTICIPANT, MEMBER, NONE, MEMBERS, ABSENT),
            (MODERATOR, OWNER, OUTCAST, OPEN, ABSENT),
            (MODERATOR, OWNER, ADMIN, OPEN, MODERATOR),
        ):
            with self.subTest(f"{role.value}: {before.value} to {after.value}"):
                self.assertIs(role_after(role, before, after, config), expected)

    def test_another_configuration(self) -> None:
        """Roles follow when a room becomes moderated, or is so no longer, or is for members."""
        for role, affiliation, before, now, expected in (
            (PARTICIPANT, NONE, OPEN, MODERATED, VISITOR),
            (PARTICIPANT, MEMBER, OPEN, MODERATED, PARTICIPANT),
            (MODERATOR, NONE, OPEN, MODERATED, MODERATOR),
            (VISITOR, NONE, MODERATED, OPEN, PARTICIPANT),
            (PARTICIPANT, NONE, MODERATED, MODERATED, PARTICIPANT),
            (VISITOR, NONE, OPEN, NON_ANONYMOUS, VISITOR),
            (PARTICIPANT, NONE, OPEN, MEMBERS, ABSENT),
            (PARTICIPANT, MEMBER, OPEN, MEMBERS, PARTICIPANT),
            (MODERATOR, OWNER, OPEN, MEMBERS, MODERATOR),
        ):
            with self.subTest(f"{role.value}, {affiliation.value}: {now}"):
                self.assertIs(role_under(role, affiliation, before, now), expected)

    def test_jids(self) -> None:
        """Moderators see who is behind a nick, and all in a room that is not anonymous."""
        for role in Role:
            somebody = RoomStanding(NONE, role)
            self.assertIs(sees_jids(somebody, OPEN), role is MODERATOR)
            self.assertTrue(sees_jids(somebody, NON_ANONYMOUS))
        self.assertTrue(sees_jids(RoomStanding(ADMIN), OPEN))
        self.assertFalse(sees_jids(RoomStanding(MEMBER), OPEN))


class RoleChangeTests(SynchronousTestCase):
    """Who changes the role of whom."""

    def check(self, actor: RoomStanding, target: RoomStanding, wanted: Role, expected: str) -> None:
        with self.subTest(f"{actor} makes {target} {wanted.value}"):
            found = outcome(partial(check_role_change, actor, target, wanted))
            self.assertEqual(found, expected)

    def test_voice(self) -> None:
        """Moderators give voice, and take it from all but admins, owners and moderators."""
        moderator = RoomStanding(NONE, MODERATOR)
        for affiliation in (NONE, MEMBER, ADMIN, OWNER):
            leads = affiliation in (ADMIN, OWNER)
            visitor, participant, other = (
                RoomStanding(affiliation, role) for role in (VISITOR, PARTICIPANT, MODERATOR)
            )
            self.check(moderator, visitor, PARTICIPANT, YES)
            self.check(moderator, participant, VISITOR, NOT_ALLOWED if leads else YES)
            self.check(moderator, other, VISITOR, NOT_ALLOWED)
            for chief in (RoomStanding(ADMIN), RoomStanding(OWNER, MODERATOR)):
                self.check(chief, visitor, PARTICIPANT, YES)
                self.check(chief, participant, VISITOR, NOT_ALLOWED if leads else YES)
                self.check(chief, other, VISITOR, NOT_ALLOWED if leads else YES)

    def test_moderators(self) -> None:
        """Admins and owners make moderators, and end that but for other admins and owners; who asks
        that of somebody above is told so.
        """
        moderator = RoomStanding(MEMBER, MODERATOR)
        for affiliation, role in product((NONE, MEMBER), (VISITOR, PARTICIPANT)):
            target = RoomStanding(affiliation, role)
            self.check(moderator, target, MODERATOR, FORBIDDEN)
            self.check(RoomStanding(ADMIN), target, MODERATOR, YES)
            self.check(RoomStanding(OWNER, MODERATOR), target, MODERATOR, YES)
        for affiliation in (NONE, MEMBER, ADMIN, OWNER):
            leads = affiliation in (ADMIN, OWNER)
            target = RoomStanding(affiliation, MODERATOR)
            self.check(moderator, target, PARTICIPANT, NOT_ALLOWED if leads else FORBIDDEN)
            self.check(RoomStanding(OWNER), target, PARTICIPANT, NOT_ALLOWED if leads else YES)

    def test_kick(self) -> None:
        """Nobody kicks whose affiliation is higher, nor a moderator another one of the same."""
        ranks = (NONE, MEMBER, ADMIN, OWNER)
        for mine, theirs in product(ranks, ranks):
            actor = RoomStanding(mine, MODERATOR)
            higher = theirs.is_above(mine)
            for role in (VISITOR, PARTICIPANT):
                target = RoomStanding(theirs, role)
                self.check(actor, target, ABSENT, NOT_ALLOWED if higher else YES)
            equal = theirs is mine and mine in (NONE, MEMBER)
            other = RoomStanding(theirs, MODERATOR)
            self.check(actor, other, ABSENT, NOT_ALLOWED if higher or equal else YES)

    def test_nobody_else(self) -> None:
        """Who is neither moderator, admin nor owner changes no role."""
        for role, affiliation, wanted in product(
            (ABSENT, VISITOR, PARTICIPANT), (NONE, MEMBER), Role
        ):
            self.check(
                RoomStanding(affiliation, role), RoomStanding(NONE, PARTICIPANT), wanted, FORBIDDEN
            )

    def test_oneself(self) -> None:
        """Everybody may kick themselves, a moderator too."""
        for role in (VISITOR, PARTICIPANT, MODERATOR):
            me = RoomStanding(NONE, role)
            check = partial(check_role_change, me, me, ABSENT, is_self=True)
            self.assertEqual(outcome(check), YES)


class AffiliationTests(SynchronousTestCase):
    """What an affiliation lets somebody do."""

    def table(self, check: Callable[[RoomAffiliation], object], *expected: str) -> None:
        for affiliation, cell in zip(RoomAffiliation, expected, strict=True):
            with self.subTest(affiliation.value):
                self.assertEqual(outcome(partial(check, affiliation)), cell)

    def test_enter(self) -> None:
        """Outcasts enter no room, and who is no member none for members only."""
        self.table(lambda who: check_enter(who, OPEN), FORBIDDEN, YES, YES, YES, YES)
        self.table(lambda who: check_enter(who, MEMBERS), FORBIDDEN, REGISTER, YES, YES, YES)

    def test_password(self) -> None:
        """Everybody needs the password, owners too; a wrong one is none."""
        missing = ("not-authorized",) * 5
        self.table(lambda who: check_password(who, PASSWORD, None), *missing)
        self.table(lambda who: check_password(who, PASSWORD, "double"), *missing)
        self.table(lambda who: check_password(who, PASSWORD, "cauldronburn"), *(YES,) * 5)
        self.table(lambda who: check_password(who, OPEN, "cauldronburn"), *(YES,) * 5)

    def test_full(self) -> None:
        """A full room takes admins and owners still; others may come back later."""
        full, away = RoomConfig(maxusers=10), "service-unavailable"
        self.table(lambda who: check_not_full(who, full, 9), *(YES,) * 5)
        self.table(lambda who: check_not_full(who, full, 10), away, away, away, YES, YES)
        self.table(lambda who: check_not_full(who, RoomConfig(maxusers=None), 10**6), *(YES,) * 5)
        error = self.assertRaises(StanzaError, check_not_full, NONE, full, 11)
        self.assertIs(error.type, ErrorType.WAIT)

    def test_register(self) -> None:
        """All but outcasts may register."""
        self.table(check_register, FORBIDDEN, YES, YES, YES, YES)

    def test_owner(self) -> None:
        """Only owners configure, destroy, and edit the lists of admins and owners."""
        self.table(check_owner, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, YES)

    def test_lists(self) -> None:
        """Each list is for whom its cell names."""
        for (wanted, config), cells in LISTS.items():
            for affiliation, expected in zip(RoomAffiliation, cells, strict=True):
                with self.subTest(f"{wanted.value} for {affiliation.value}"):
                    somebody = RoomStanding(affiliation, PARTICIPANT)
                    found = outcome(partial(check_read_list, somebody, wanted, config))
                    self.assertEqual(found, expected)

    def test_lists_from_outside(self) -> None:
        """Who is not in reads the members' list as a member of a room that is not anonymous."""
        for affiliation, wanted, expected in (
            (MEMBER, MEMBER, YES),
            (MEMBER, OWNER, FORBIDDEN),
            (NONE, ADMIN, FORBIDDEN),
            (ADMIN, OUTCAST, YES),
        ):
            with self.subTest(f"{wanted.value} for {affiliation.value}"):
                somebody = RoomStanding(affiliation)
                found = outcome(partial(check_read_list, somebody, wanted, NON_ANONYMOUS))
                self.assertEqual(found, expected)

    def test_lists_by_role(self) -> None:
        """Members read their list in the roles that the room names; moderators, who has voice."""
        for affiliation, role, wanted, expected in (
            (MEMBER, MODERATOR, MEMBER, YES),
            (MEMBER, PARTICIPANT, MEMBER, FORBIDDEN),
            (NONE, MODERATOR, MEMBER, FORBIDDEN),
            (NONE, MODERATOR, PARTICIPANT, YES),
            (NONE, MODERATOR, VISITOR, YES),
            (NONE, MODERATOR, MODERATOR, FORBIDDEN),
            (NONE, VISITOR, PARTICIPANT, FORBIDDEN),
        ):
            with self.subTest(f"{wanted.value} for {affiliation.value}, {role.value}"):
                found = outcome(
                    partial(check_read_list, RoomStanding(affiliation, role), wanted, OPEN)
                )
                self.assertEqual(found, expected)
        everybody = RoomConfig(getmemberlist=frozenset((PARTICIPANT,)))
        check_read_list(RoomStanding(MEMBER, PARTICIPANT), MEMBER, everybody)

    def test_archive(self) -> None:
        """An open room's archive is open; a closed one's is for the affiliated and occupants."""
        for config, outside, inside in (
            (OPEN, YES, YES), (PASSWORD, FORBIDDEN, YES), (MEMBERS, FORBIDDEN, YES),
        ):  # fmt: skip
            for role, expected in ((ABSENT, outside), (PARTICIPANT, inside)):
                self.table(
                    lambda who, role=role, config=config: check_archive(  # type: ignore[misc]
                        RoomStanding(who, role), config
                    ),
                    FORBIDDEN, expected, YES, YES, YES,
                )  # fmt: skip


class AffiliationChangeTests(SynchronousTestCase):
    """Who changes the affiliation of whom."""

    def test_by_admins(self) -> None:
        """Admins change what is below them, and make nobody their equal."""
        for before, cells in BY_ADMIN.items():
            for wanted, expected in zip(RoomAffiliation, cells, strict=True):
                with self.subTest(f"{before.value} to {wanted.value}"):
                    found = outcome(partial(check_affiliation_change, ADMIN, before, wanted))
                    self.assertEqual(found, expected)

    def test_by_owners(self) -> None:
        """Owners change everything."""
        for before, wanted in product(RoomAffiliation, RoomAffiliation):
            with self.subTest(f"{before.value} to {wanted.value}"):
                check_affiliation_change(OWNER, before, wanted)

    def test_by_others(self) -> None:
        """Nobody else changes anything."""
        for actor, before, wanted in product(
            (OUTCAST, NONE, MEMBER), RoomAffiliation, RoomAffiliation
        ):
            with self.subTest(f"{actor.value}: {before.value} to {wanted.value}"):
                found = outcome(partial(check_affiliation_change, actor, before, wanted))
                self.assertEqual(found, FORBIDDEN)

    def test_oneself(self) -> None:
        """Nobody bans themselves; to step down is another thing."""
        for actor, wanted, expected in (
            (ADMIN, OUTCAST, CONFLICT),
            (OWNER, OUTCAST, CONFLICT),
            (OWNER, ADMIN, YES),
            (OWNER, NONE, YES),
            (ADMIN, MEMBER, NOT_ALLOWED),
        ):
            with self.subTest(f"{actor.value} to {wanted.value}"):
                check = partial(check_affiliation_change, actor, actor, wanted, is_self=True)
                self.assertEqual(outcome(check), expected)

    def test_last_owner(self) -> None:
        """A room keeps its last owner."""
        for wanted in RoomAffiliation:
            with self.subTest(wanted.value):
                check = partial(check_affiliation_change, OWNER, OWNER, wanted, is_last_owner=True)
                self.assertEqual(outcome(check), YES if wanted is OWNER else CONFLICT)

    def test_domains(self) -> None:
        """A whole domain may be banned or let in, but leads no room (RM-1)."""
        domain, person = JID.parse("capulet.lit"), JID.parse("tybalt@capulet.lit")
        for wanted in RoomAffiliation:
            leads = wanted in (ADMIN, OWNER)
            with self.subTest(wanted.value):
                found = outcome(partial(check_affiliated, domain, wanted))
                self.assertEqual(found, NOT_ACCEPTABLE if leads else YES)
                check_affiliated(person, wanted)
