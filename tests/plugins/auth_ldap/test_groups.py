"""Groups of a real directory, as shared groups."""

from collections.abc import Mapping
from typing import Any, cast

from ldaptor.protocols import pureber, pureldap
from ldaptor.protocols.ldap.ldapserver import BaseLDAPServer
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import ServerFactory
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.auth_ldap.directories import CLOCK, DOMAIN, DirectoryCase, account
from tests.slapd_server import GROUPS, MAX_FOUND, PEOPLE
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.house import House
from xmppd_plugins.auth_ldap import groups as module
from xmppd_plugins.auth_ldap.connection import PAGED
from xmppd_plugins.auth_ldap.groups import DirectoryGroups, key_of

MANY = {f"member{number}": "x" for number in range(3 * MAX_FOUND)}


class GroupTests(DirectoryCase):
    """DirectoryGroups."""

    groups = {"montagues": ["romeo", "benvolio"], "lovers": ["romeo", "juliet"]}

    def setUp(self) -> None:
        super().setUp()
        self.people = {"romeo": "x", "juliet": "x", "benvolio": "x"}
        self.slapd = self.slapd_of(self.people, self.groups)
        self.house = House(DOMAIN, romeo={}, juliet={})
        self.shared = self.house.server.shared_group_changes

    async def follow(self, **settings: Any) -> dict[str, tuple[str, ...]]:
        """Read the groups; returns the shared groups there are then, with their members."""
        self.made(self.slapd.socket_url)
        known = self.settings(self.slapd.socket_url, **settings)
        accounts = self.house.server.store.accounts
        groups = DirectoryGroups(known, self.reading, self.shared, accounts, (DOMAIN,), CLOCK)
        await groups.follow()
        self.reading.close()
        return {name: each.members for name, each in self.shared.groups.groups.items()}

    def change(self, text: str) -> None:
        """Change the directory."""
        self.slapd.stop()
        self.slapd.change(text)
        self.slapd.start()

    async def test_members(self) -> None:
        """A group has those of its members who have an account, and each sees the others."""
        found = await self.follow()
        self.assertEqual(
            found,
            {
                "ldap:lovers": (account("juliet"), account("romeo")),
                "ldap:montagues": (account("romeo"),),
            },
        )
        self.assertTrue(self.shared.groups.sees(account("romeo"), account("juliet")))
        self.assertEqual(self.shared.groups.groups["ldap:lovers"].display_name, "lovers")

    async def test_change(self) -> None:
        """Whoever leaves a group has left it here as well; a group that is gone is gone."""
        await self.follow()
        self.change(
            f"dn: cn=lovers,{GROUPS}\nchangetype: delete\n\n"
            f"dn: cn=montagues,{GROUPS}\nchangetype: modify\nreplace: member\n"
            f"member: uid=juliet,ou=people,dc=verona,dc=lit\n"
        )
        self.assertEqual(await self.follow(), {"ldap:montagues": (account("juliet"),)})

    async def test_away(self) -> None:
        """While the directory is away, groups stay as they were."""
        before = await self.follow()
        self.slapd.stop()
        self.assertEqual(await self.follow(), before)

    async def test_what_is_ours(self) -> None:
        """Groups that an administrator has made stay, and so does who sees a group of the
        directory's.
        """
        await self.shared.save(SharedGroup("friends", "Friends", (account("juliet"),)))
        await self.shared.save(
            SharedGroup("ldap:lovers", "Lovers", (account("juliet"),), "everybody", ("friends",))
        )
        self.assertIn("friends", await self.follow())
        lovers = self.shared.groups.groups["ldap:lovers"]
        self.assertEqual(lovers.members, (account("juliet"), account("romeo")))
        self.assertEqual((lovers.visible_to, lovers.groups), ("everybody", ("friends",)))

    async def test_pages(self) -> None:
        """Groups and people are read by pages, since a directory gives no more at once."""
        self.slapd = self.slapd_of(
            {**MANY, **self.people}, {"all": ["romeo", *MANY], **self.groups}
        )
        self.patch(module, "PAGE_SIZE", 37)
        found = await self.follow()
        self.assertEqual(found["ldap:all"], (account("romeo"),))

    async def test_names(self) -> None:
        """Members may be names instead of entries; without an account one is not there."""
        self.slapd = self.slapd_of(self.people)
        self.change(
            f"dn: cn=posix,{GROUPS}\nchangetype: add\nobjectClass: extensibleObject\n"
            f"objectClass: organizationalRole\nmail: romeo@{DOMAIN}\nmail: nobody@{DOMAIN}\n"
        )
        found = await self.follow(
            member="name", member_attribute="mail", name="address", group_having={"mail": "*"}
        )
        self.assertEqual(found, {"ldap:posix": (account("romeo"),)})

    async def test_too_many(self) -> None:
        """With more groups or people than are allowed, none is taken over in part."""
        for limit in ({"max_groups": 1}, {"max_group_people": 2}):
            with self.subTest(limit):
                self.assertEqual(await self.follow(**limit), {})

    async def test_no_name(self) -> None:
        """A group whose name cannot stand in a roster is left out; the others are there."""
        long, fine = "x" * 1_100, "fine"
        self.change(
            "\n".join(
                f"dn: cn={each},{GROUPS}\nchangetype: modify\nadd: description\n"
                f"description: {name}\n"
                for each, name in {"lovers": long, "montagues": fine}.items()
            )
        )
        found = await self.follow(group_name_attribute="description")
        self.assertEqual(list(found), ["ldap:fine"])

    async def test_new_account(self) -> None:
        """Who logs in for the first time is in the groups from the next look on."""
        await self.follow()
        await self.house.server.store.accounts.create_account(account("benvolio"), ())
        found = await self.follow()
        self.assertEqual(found["ldap:montagues"], (account("benvolio"), account("romeo")))


class NameTests(SynchronousTestCase):
    """Names of entries."""

    def test_same(self) -> None:
        """A name is the same with other letters and spaces, but not with an escaped comma."""
        self.assertEqual(
            key_of(b"UID=romeo,  OU=People, dc=x"), key_of(b"uid=Romeo,ou=people,dc=x")
        )
        self.assertNotEqual(key_of(b"cn=a\\, b,dc=x"), key_of(b"cn=a\\,b,dc=x"))


class Parts(BaseLDAPServer):
    """A directory that gives only so many members at once, as Active Directory does."""

    factory: "PartsFactory"

    def handle(self, msg: Any) -> None:
        """Answer a question."""
        request, directory = msg.value, self.factory
        if isinstance(request, pureldap.LDAPBindRequest):
            self._say(msg, pureldap.LDAPBindResponse(resultCode=0))
            return
        base, wanted = request.baseObject.decode(), [each.decode() for each in request.attributes]
        if base == PEOPLE:
            for name in directory.people:
                self._entry(msg, f"uid={name},{PEOPLE}", {"uid": [name]})
        elif base == GROUPS:
            self._entry(msg, directory.group, {"cn": ["montagues"], **directory.part(0)})
        elif not directory.is_gone:
            after = int(wanted[0].removeprefix("member;range=").partition("-")[0])
            self._entry(msg, directory.group, directory.part(after))
        code = 32 if base == directory.group and directory.is_gone else 0
        empty = pureber.BERSequence([pureber.BERInteger(0), pureber.BEROctetString(b"")])
        done = pureldap.LDAPSearchResultDone(resultCode=code)
        self._say(msg, done, [(PAGED, False, empty.toWire())])

    def _entry(self, msg: Any, dn: str, attributes: Mapping[str, list[str]]) -> None:
        self._say(msg, pureldap.LDAPSearchResultEntry(dn, list(attributes.items())))

    def _say(self, msg: Any, said: Any, controls: Any = None) -> None:
        self.transport.write(pureldap.LDAPMessage(said, controls=controls, id=msg.id).toWire())


class PartsFactory(ServerFactory[Parts]):
    """What such a directory has.

    Attributes:
        at_once: How many members it gives.
        ends: Whether it says which were the last.
        circles: Whether it gives the first ones again and again.
        is_gone: Whether the group is removed after the first question.
    """

    protocol = Parts
    group = f"cn=montagues,{GROUPS}"

    def __init__(self, people: list[str]) -> None:
        self.people = people
        self.at_once = 3
        self.ends = True
        self.circles = self.is_gone = False

    def part(self, after: int) -> dict[str, list[str]]:
        """Members from this one on, under the name that says which these are."""
        after = 0 if self.circles else after
        given = self.people[after : after + self.at_once]
        behind = after + len(given)
        last = "*" if behind == len(self.people) and self.ends else str(behind - 1)
        dns = [f"uid={name},{PEOPLE}" for name in given]
        return {f"member;range={after}-{last}": dns} if given else {}


class PartTests(DirectoryCase):
    """Groups whose members come in parts."""

    def setUp(self) -> None:
        super().setUp()
        names = [f"member{number}" for number in range(7)]
        self.house = House(DOMAIN)
        for name in names:
            self.house.add(name)
        self.shared = self.house.server.shared_group_changes
        self.parts = PartsFactory(names)
        parts = cast(ServerFactory[Any], self.parts)
        port = cast(IReactorTCP, reactor).listenTCP(0, parts, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port  # type: ignore[attr-defined]  # it is an IPv4Address
        self.url = f"ldap://127.0.0.1:{number}"
        self.everybody = tuple(account(name) for name in names)

    async def follow(self, **settings: Any) -> tuple[str, ...]:
        """Read the groups; returns the members of the one there is."""
        self.made(self.url, tls=False)
        known = self.settings(self.url, tls=False, member="entry", **settings)
        accounts = self.house.server.store.accounts
        groups = DirectoryGroups(known, self.reading, self.shared, accounts, (DOMAIN,), CLOCK)
        await groups.follow()
        self.reading.close()
        group = self.shared.groups.groups.get("ldap:montagues")
        return () if group is None else group.members

    async def test_all(self) -> None:
        """All come, in however many parts, and whether the last part says so or not."""
        for at_once in (1, 3, 7, 8):
            for ends in (True, False):
                with self.subTest((at_once, ends)):
                    self.parts.at_once, self.parts.ends = at_once, ends
                    await self.shared.save(SharedGroup("ldap:montagues", "montagues", ()))
                    self.assertEqual(await self.follow(), self.everybody)

    async def test_not_in_part(self) -> None:
        """If not all can be had, since they are too many or the directory goes round in circles,
        the group stays as it was.
        """
        await self.follow()
        before = self.everybody
        self.parts.people = [*self.parts.people[:-1], "another", "more"]
        self.assertEqual(await self.follow(max_group_people=7), before)
        self.parts.circles = True
        self.assertEqual(await self.follow(), before)
        self.parts.circles = False
        self.assertEqual(await self.follow(), before[:-1])

    async def test_gone(self) -> None:
        """A group that is removed between two parts has the members that were given."""
        self.parts.is_gone = True
        self.assertEqual(await self.follow(), self.everybody[:3])


__all__ = ["GroupTests", "NameTests", "PartTests"]
