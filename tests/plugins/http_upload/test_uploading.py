"""Files are uploaded, and read by whoever has their URL."""

from datetime import UTC, datetime, timedelta

from tests.plugins.http_upload.upload_case import HOST, PLUGINS, UploadCase
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza import ns
from xmppd.testing.client import done
from xmppd.testing.house import SOME_AFTERNOON, House
from xmppd.testing.network import federate
from xmppd.testing.nodes import Nodes
from xmppd.testing.web import WebClient

PURPOSE = "urn:xmpp:http:upload:purpose:0"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
DAY_S = 86_400.0


def condition(error: object) -> str:
    """The condition of a stanza error."""
    (found,) = (
        child.tag.partition("}")[2]
        for child in error.iter()  # type: ignore[attr-defined]
        if child.tag.startswith(f"{{{ns.STANZA_ERRORS}}}") and not child.tag.endswith("}text")
    )
    return str(found)


class UploadingTests(UploadCase):
    def test_up_and_down(self) -> None:
        """A picture is uploaded, and comes back as it was, with its type and name (HU-2, HU-3)."""
        given = self.slot("très ♥ cool.png", len(PICTURE), type="image/png")
        self.assertEqual(given.put, given.get)
        self.assertRegex(
            given.get, rf"^{HOST}/upload/[0-9a-f]{{32}}/tr%C3%A8s%20%E2%99%A5%20cool\.png$"
        )
        answer = self.put(given, PICTURE)
        self.assertEqual(answer.status, 201, answer.body)
        page = self.get(given)
        self.assertEqual((page.status, page.body), (200, PICTURE))
        self.assertEqual(page.headers["Content-Type"], "image/png")
        self.assertEqual(
            page.headers["Content-Disposition"],
            "inline; filename*=UTF-8''tr%C3%A8s%20%E2%99%A5%20cool.png",
        )
        self.assertIn("immutable", page.headers["Cache-Control"])
        self.assertEqual(page.headers["Access-Control-Allow-Origin"], "*")

    def test_part(self) -> None:
        """A part of it is read, or nothing if the reader has it (HU-6)."""
        given = self.upload("a.bin", PICTURE)
        part = self.get(given, Range="bytes=2-5")
        self.assertEqual((part.status, part.body), (206, PICTURE[2:6]))
        again = self.get(given, **{"If-None-Match": self.get(given).headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_safe_to_open(self) -> None:
        """What a browser would run is only saved by it, whatever is said of it (HU-7)."""
        for type in ("image/svg+xml", "text/html", "application/pdf", ""):
            given = self.upload('"><script>.html', b"<script>alert(1)</script>", type=type)
            page = self.get(given)
            self.assertEqual(page.headers["Content-Type"], "application/octet-stream")
            self.assertTrue(page.headers["Content-Disposition"].startswith("attachment; "))
            self.assertNotIn("<script>", page.headers["Content-Disposition"])
            self.assertEqual(page.headers["X-Content-Type-Options"], "nosniff")
            self.assertIn("sandbox", page.headers["Content-Security-Policy"])

    def test_without_slot(self) -> None:
        """Nothing is stored without a slot, with another's, or too late (HU-2)."""
        given, other = self.slot("a", 1), self.slot("b", 1)
        for authorization in ("", "Bearer x", "Basic eDp4", other.authorization, "Bearer é"):
            answer = self.put(given._replace(authorization=authorization), b"x")
            self.assertEqual(answer.status, 403, authorization)
        changed = given.authorization[:-2] + ("AA" if given.authorization[-2:] != "AA" else "BB")
        self.assertEqual(self.put(given._replace(authorization=changed), b"x").status, 403)
        self.house.clock.advance(301)
        self.assertEqual(self.put(given, b"x").status, 403)
        self.assertEqual(self.files(), [])

    def test_once(self) -> None:
        """A slot is for one file (HU-3)."""
        given = self.upload("a", b"x")
        self.assertEqual(self.put(given, b"y").status, 409)
        self.assertEqual(self.get(given).body, b"x")

    def test_other_size(self) -> None:
        """More or less than was said leaves nothing, and the slot is still good (HU-3)."""
        given = self.slot("a", 5)
        for body, headers, status in (
            (b"123456", {}, 413),
            (b"1234", {}, 400),
            (b"6\r\n123456\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}, 413),
            (b"4\r\n1234\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}, 400),
        ):
            if "Transfer-Encoding" in headers:
                web = WebClient(self.house)
                said = {"Authorization": given.authorization, **headers}
                head = "".join(f"{name}: {text}\r\n" for name, text in said.items())
                path = given.put.removeprefix(HOST)
                web.send(f"PUT {path} HTTP/1.1\r\nHost: montague.lit\r\n{head}\r\n".encode() + body)
                answer = web.answer()
            else:
                answer = self.put(given, body)
            self.assertEqual(answer.status, status, body)
            self.assertEqual(self.files(), [])
        self.assertEqual(self.put(given, b"12345").status, 201)

    def test_cut_off(self) -> None:
        """Of an upload whose connection is lost nothing stays, and its room is free again."""
        given = self.slot("a", 1_000)
        web = WebClient(self.house)
        path = given.put.removeprefix(HOST)
        web.send(
            f"PUT {path} HTTP/1.1\r\nHost: montague.lit\r\nContent-Length: 1000\r\n"
            f"Authorization: {given.authorization}\r\n\r\n".encode()
            + bytes(500)
        )
        self.assertEqual(len(self.files()), 1)
        web.transport.abortConnection()
        self.house.network.settle()
        self.assertEqual(self.files(), [])
        self.assertEqual(self.put(given, bytes(1_000)).status, 201)

    def test_not_whole(self) -> None:
        """A part of a file is not taken for the whole (RFC 9110, section 14.5)."""
        given = self.slot("a", 5)
        said = {"Content-Range": "bytes 0-4/10"}
        self.assertEqual(self.put(given, b"12345", **said).status, 400)
        self.assertEqual(self.files(), [])
        self.assertEqual(self.put(given, b"12345").status, 201)

    def test_never_there(self) -> None:
        """What was never there, and what is no id at all, is not found."""
        for path in ("/upload/", "/upload/x/y", f"/upload/{'0' * 32}/a", f"/upload/{'A' * 32}/a"):
            self.assertEqual(WebClient(self.house).get(path).status, 404)

    def test_disco(self) -> None:
        """Clients find the service and how much it takes (HU-1)."""
        self.romeo.send(
            "<iq type='get' id='d' to='upload.montague.lit'>"
            "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        )
        (answer,) = self.romeo.received()
        for part in (
            "<identity category='store' type='file'",
            "<feature var='urn:xmpp:http:upload:0'/>",
            f"<feature var='{PURPOSE}#ephemeral'/>",
            "<value>104857600</value>",
        ):
            self.assertIn(part, answer)
        self.assertNotIn("#permanent", answer)

    def test_after_a_restart(self) -> None:
        """Files and slots outlive the server; what was begun and not ended goes."""
        given, slot = self.upload("a", b"x"), self.slot("b", 1)
        begun = self.slot("c", 9)
        web = WebClient(self.house)
        web.send(
            f"PUT {begun.put.removeprefix(HOST)} HTTP/1.1\r\nHost: montague.lit\r\n"
            f"Content-Length: 9\r\nAuthorization: {begun.authorization}\r\n\r\n1234".encode()
        )
        self.house = self.house.again()
        self.assertEqual(self.get(given).body, b"x")
        self.assertEqual(self.put(slot, b"y").status, 201)
        self.assertEqual(len(self.files()), 2)


class EndTests(UploadCase):
    """Files do not stay for ever."""

    limits = {"kept_s": 10 * DAY_S, "permanent": True}

    def sweep(self) -> None:
        self.house.clock.advance(3_600)
        self.house.network.settle()

    def test_age(self) -> None:
        """A file goes when its time is over; one that is to stay does not (HU-5)."""
        given = self.upload("a", b"x")
        kept = self.upload("b", b"y", f"<permanent xmlns='{PURPOSE}'/>")
        self.house.clock.advance(10 * DAY_S - 60)
        self.assertEqual(self.get(given).status, 200)
        self.house.clock.advance(60)
        self.assertEqual(self.get(given).status, 404)
        self.sweep()
        self.assertEqual(len(self.files()), 1)
        self.assertEqual(self.get(kept).body, b"y")

    def test_expire_before(self) -> None:
        """A file goes when its uploader has said so."""
        until = datetime.fromtimestamp(SOME_AFTERNOON, UTC) + timedelta(days=1)
        inner = f"<ephemeral xmlns='{PURPOSE}' expire-before='{until:%Y-%m-%dT%H:%M:%SZ}'/>"
        given = self.upload("a", b"x", inner)
        self.house.clock.advance(DAY_S)
        self.sweep()
        self.assertEqual((self.get(given).status, self.files()), (404, []))

    def test_account(self) -> None:
        """With an account all its files go, and nobody else's."""
        given = self.upload("a", b"x")
        (juliet,) = self.house.connect("juliet")
        self.romeo, romeo = juliet, self.romeo
        hers = self.upload("b", b"y")
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.assertEqual((self.get(given).status, self.get(hers).status), (404, 200))
        self.assertEqual(len(self.files()), 1)
        self.assertTrue(romeo.closed)

    def test_killed_in_between(self) -> None:
        """So they do, an hour later, if the server was killed when the account was gone already."""
        given = self.upload("a", b"x")
        (juliet,) = self.house.connect("juliet")
        self.romeo = juliet
        hers = self.upload("b", b"y")
        done(self.house.server.store.accounts.delete_account("romeo@montague.lit"))
        self.assertEqual(self.get(given).status, 200)
        self.house.clock.advance(3_600)
        self.assertEqual((self.get(given).status, self.get(hers).status), (404, 200))
        self.assertEqual(len(self.files()), 1)

    def test_killed_and_started(self) -> None:
        """Or when it starts."""
        given = self.upload("a", b"x")
        done(self.house.server.store.accounts.delete_account("romeo@montague.lit"))
        self.house = self.house.again()
        self.assertEqual((self.get(given).status, self.files()), (404, []))


class RefusedTests(UploadCase):
    """What is asked for wrongly, or is too much."""

    limits = {
        "max_file_bytes": 1_000,
        "max_account_bytes": 3_000,
        "max_account_bytes_per_day": 2_000,
        "max_account_files_per_day": 4,
    }

    def refused(self, name: str, size: object, inner: str = "", type: str = "") -> str:
        """The condition with which a request is refused."""
        answer = self.ask(name, size, inner, type=type)
        self.assertEqual(answer.get("type"), "error")
        return condition(answer)

    def test_wrong(self) -> None:
        """A wrong request is refused with what is wrong in it."""
        past = f"<ephemeral xmlns='{PURPOSE}' expire-before='2001-01-01T00:00:00Z'/>"
        for name, size, inner, type in (
            ("", 1, "", ""),
            ("a", "", "", ""),
            ("a", 0, "", ""),
            ("a", -1, "", ""),
            ("a", "1e3", "", ""),
            ("a", 1, "", "x\n y"),
            ("a", 1, past, ""),
            ("a", 1, f"<ephemeral xmlns='{PURPOSE}'/>", ""),
            ("a", 1, f"<other xmlns='{PURPOSE}'/>", ""),
        ):
            self.assertEqual(self.refused(name, size, inner, type), "bad-request", (name, size))
        self.assertEqual(self.refused("a", 1, f"<permanent xmlns='{PURPOSE}'/>"), "not-allowed")

    def test_too_large(self) -> None:
        """A file that is too large is refused with the limit (HU-1)."""
        for size in (1_001, 10**20, "9" * 5_000):
            answer = self.ask("a", size)
            self.assertEqual(condition(answer), "not-acceptable")
            (most,) = answer.iter("{urn:xmpp:http:upload:0}max-file-size")
            self.assertEqual(most.text, "1000")

    def test_enough_for_today(self) -> None:
        """An account uploads so much a day; it is told when there is room again (HU-4)."""
        self.upload("a", bytes(1_000))
        self.house.clock.advance(60)
        self.upload("b", bytes(1_000))
        answer = self.ask("c", 1)
        self.assertEqual(condition(answer), "resource-constraint")
        (retry,) = answer.iter("{urn:xmpp:http:upload:0}retry")
        again = datetime.fromisoformat(retry.get("stamp", ""))
        self.assertAlmostEqual(again.timestamp(), SOME_AFTERNOON + DAY_S, delta=60)
        self.house.clock.advance(DAY_S)
        (self.romeo,) = self.house.connect("romeo")
        self.upload("c", bytes(1_000))
        self.assertEqual(self.refused("d", 1), "resource-constraint")  # it has 3,000 bytes by now

    def test_slots_together(self) -> None:
        """Slots that were given at once do not pass the limit together (HU-4)."""
        slots = [self.slot(name, 1_000) for name in "abc"]
        statuses = [self.put(slot, bytes(1_000)).status for slot in slots]
        self.assertEqual(statuses, [201, 201, 413])

    def test_files(self) -> None:
        """An account uploads so many files a day."""
        for name in "abcd":
            self.upload(name, b"x")
        self.assertEqual(self.refused("e", 1), "resource-constraint")

    def test_strangers(self) -> None:
        """Nobody uploads who has no account here (HU-1)."""
        capulet = House("capulet.lit", tybalt={})
        network = federate(self.house, capulet)
        network.houses["upload.montague.lit"] = self.house
        (tybalt,) = capulet.connect("tybalt")
        self.assertEqual(condition(self.ask("a", 1, by=tybalt)), "not-allowed")


class SharedTests(UploadCase):
    """Several nodes, which have one directory or none."""

    def test_not_shared(self) -> None:
        """Nodes with directories of their own would lose files: they do not start."""
        refused = self.assertRaises(
            PluginError, Nodes, "a", "b", config=self.configured(), plugins=PLUGINS
        )
        self.assertIn("http_upload.shared = true", str(refused))

    def test_shared(self) -> None:
        """What is uploaded at one node is read at another, with the right to upload as well."""
        nodes = Nodes("a", "b", config=self.configured(shared=True), plugins=PLUGINS, romeo={})
        self.house = nodes["a"]
        (self.romeo,) = self.house.connect("romeo")
        given = self.slot("a", 1)
        self.house = nodes["b"]
        self.assertEqual(self.put(given, b"x").status, 201)
        self.house = nodes["a"]
        self.assertEqual(self.get(given).body, b"x")


class DirectoryTests(UploadCase):
    def test_cannot_be_written(self) -> None:
        """A directory that cannot be used stops the start with a sentence that names it."""
        path = self.directory / "file"
        path.touch()
        config = self.configured(directory=str(path))
        refused = self.assertRaises(PluginError, House, config=config, plugins=PLUGINS)
        self.assertIn(f"http_upload.directory {path} cannot be written (", str(refused))
