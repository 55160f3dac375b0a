"""What an Openfire would have left, in the tables that it documents: Debian has no Openfire."""

import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import pbkdf2_hmac, sha1
from hmac import digest
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from sqlalchemy import URL, BigInteger, Column, MetaData, Table, Text, create_engine

KEY = "5L0nGr4nd0mK3y"
AT = 1_600_000_000_000
TABLES = {
    "ofUser": "username storedKey serverKey salt iterations:i plainPassword encryptedPassword name "
    "email creationDate modificationDate",
    "ofUserFlag": "username name startTime endTime",
    "ofProperty": "name propValue",
    "ofPresence": "username offlinePresence offlineDate",
    "ofOffline": "username messageID:i creationDate messageSize:i stanza",
    "ofRoster": "rosterID:i username jid sub:i ask:i recv:i nick stanza",
    "ofRosterGroups": "rosterID:i rank:i groupName",
    "ofVCard": "username vcard",
    "ofPrivate": "username name namespace privateData",
    "ofPrivacyList": "username name isDefault:i list",
    "ofGroup": "groupName description",
    "ofMucRoom": "serviceID:i roomID:i name",
    "ofPubsubNode": "serviceID nodeID leaf:i accessModel publisherModel persistItems:i maxItems:i",
    "ofPubsubItem": "serviceID nodeID id jid creationDate payload",
    "ofMessageArchive": "messageID:i conversationID:i fromJID fromJIDResource toJID toJIDResource "
    "sentDate:i stanza body",
}
"""The tables that matter here, each with its columns; ``:i`` is an integer."""

RUN = """
import java.nio.file.*;
import java.sql.*;

class Run {
    public static void main(String[] given) throws Exception {
        Connection connection = DriverManager.getConnection(given[0], "sa", "");
        for (String each : Files.readString(Path.of(given[1])).split("\\0"))
            connection.createStatement().execute(each);
    }
}
"""
"""Does what a file says, in a database of HSQLDB."""

Row = dict[str, object]


def encrypted(password: str, key: str = KEY, salt: bytes | None = None) -> str:
    """A password as Openfire keeps it; with a salt, as version 5.1 does."""
    made = sha1(key.encode()).digest()
    if salt is not None:
        made = pbkdf2_hmac("sha512", key.encode(), salt, 100_000, 32)
    vector = bytes(range(8))
    padding = PKCS7(64).padder()
    padded = padding.update(password.encode("utf-16-be")) + padding.finalize()
    encryptor = Cipher(Blowfish(made), CBC(vector)).encryptor()
    return (vector + encryptor.update(padded) + encryptor.finalize()).hex()


def keys(password: str) -> Row:
    """The columns with the keys of a password (:rfc:`5802`)."""
    salt, iterations = b"0123456789abcdef", 4096
    salted = pbkdf2_hmac("sha1", password.encode(), salt, iterations)
    stored = sha1(digest(salted, b"Client Key", "sha1")).digest()
    made = {"storedKey": stored, "serverKey": digest(salted, b"Server Key", "sha1"), "salt": salt}
    return {k: b64encode(v).decode() for k, v in made.items()} | {"iterations": iterations}


def rows_of(domain: str, password: str) -> Iterator[tuple[str, Row]]:
    """What there is of the people of :mod:`tests.integration.movers`."""
    yield "ofProperty", {"name": "xmpp.domain", "propValue": domain}
    yield "ofProperty", {"name": "passwordKey", "propValue": KEY}
    both = keys(password) | {"encryptedPassword": encrypted(password)}
    ways: tuple[tuple[str, Row], ...] = (
        ("romeo", both),
        ("juliet", {"encryptedPassword": encrypted(password)}),
        ("tybalt", {"plainPassword": password}),
        ("mercutio", both),
    )
    for name, how in ways:
        date = f"00{AT}"
        yield "ofUser", {"username": name, "creationDate": date, "modificationDate": date} | how
    romeo, juliet = f"romeo@{domain}", f"juliet@{domain}"
    draw = f"<presence from='tybalt@{domain}' type='subscribe'><status>Draw!</status></presence>"
    for number, (owner, other, sub, ask, recv, nick, stanza) in enumerate(
        (
            ("romeo", "juliet", 3, -1, -1, "J & é", None),
            ("juliet", "romeo", 3, -1, -1, None, None),
            ("romeo", "mercutio", 0, 0, -1, None, None),
            ("mercutio", "romeo", 0, -1, 1, None, None),
            ("tybalt", "romeo", 0, 0, -1, None, None),
            ("romeo", "tybalt", 0, -1, 1, None, draw),
            ("romeo", "rosaline", -1, -1, -1, None, None),
        )
    ):  # fmt: skip
        yield "ofRoster", {
            "rosterID": number, "username": owner, "jid": f"{other}@{domain}", "sub": sub,
            "ask": ask, "recv": recv, "nick": nick, "stanza": stanza,
        }  # fmt: skip
    yield "ofRosterGroups", {"rosterID": 0, "rank": 0, "groupName": "Fair"}
    yield (
        "ofVCard",
        {
            "username": "romeo",
            "vcard": '<vCard xmlns="vcard-temp"><FN>Romeo Mø</FN>'
            "<NOTE>It's \\u0041\n😀</NOTE></vCard>",
        },
    )
    yield "ofPrivate", {
        "username": "romeo", "name": "exodus", "namespace": "exodus:prefs",
        "privateData": '<exodus xmlns="exodus:prefs"><a b="é"/></exodus>',
    }  # fmt: skip
    item = '<item type="jid" value="{}@capulet.example" action="deny" order="{}"/>'
    blocked = "".join(item.format(*each) for each in (("paris", 1), ("sampson", 2)))
    yield "ofPrivacyList", {
        "username": "romeo", "name": "blocked", "isDefault": 1,
        "list": f'<list xmlns="jabber:iq:privacy" name="blocked">{blocked}</list>',
    }  # fmt: skip
    wait = (
        f'<message from="{juliet}/x" to="{romeo}" type="chat"><body>Wherefore &lt;art&gt; thou?'
        "</body></message>"
    )
    yield "ofOffline", {
        "username": "romeo", "messageID": 1, "creationDate": f"00{AT}", "messageSize": len(wait),
        "stanza": wait,
    }  # fmt: skip
    yield "ofPubsubNode", {
        "serviceID": romeo, "nodeID": "urn:news", "leaf": 1, "accessModel": "presence",
        "publisherModel": "publishers", "persistItems": 1, "maxItems": 5,
    }  # fmt: skip
    yield "ofPubsubItem", {
        "serviceID": romeo, "nodeID": "urn:news", "id": "1", "jid": romeo,
        "creationDate": f"00{AT}", "payload": '<entry xmlns="urn:news">l\'été</entry>',
    }  # fmt: skip
    yield "ofMessageArchive", {
        "messageID": 1, "conversationID": 1, "fromJID": juliet, "fromJIDResource": "x",
        "toJID": romeo, "toJIDResource": "x", "sentDate": AT, "stanza": None,
        "body": "What man art thou?",
    }  # fmt: skip
    yield "ofMucRoom", {"serviceID": 1, "roomID": 1, "name": "orchard"}


def in_database(url: URL, domain: str, password: str) -> None:
    """Make the tables, with these people in them."""
    engine, metadata = create_engine(url), MetaData()
    # Openfire's own scripts put no name in quotes.
    fold: Callable[[str], str] = str.lower if url.get_backend_name() == "postgresql" else str
    made = {name: _table(fold(name), fold, about, metadata) for name, about in TABLES.items()}
    metadata.create_all(engine)
    with engine.begin() as connection:
        for name, row in rows_of(domain, password):
            connection.execute(made[name].insert(), {fold(key): v for key, v in row.items()})
    engine.dispose()


def _table(name: str, fold: Callable[[str], str], about: str, metadata: MetaData) -> Table:
    columns = (each.partition(":") for each in about.split())
    return Table(
        name, metadata, *(Column(fold(n), BigInteger() if i else Text()) for n, _, i in columns)
    )


def as_script(directory: Path, domain: str, password: str) -> Path:
    """The script of HSQLDB, which that has written itself."""
    java, library = shutil.which("java"), Path("/usr/share/java/hsqldb.jar")
    if java is None or not library.exists():
        raise AssertionError("HSQLDB is not installed: apt-get install libhsqldb-java")
    statements = []
    for name, about in TABLES.items():
        columns = (each.partition(":") for each in about.split())
        inside = ", ".join(
            f'"{n.upper()}" {"BIGINT" if i else "LONGVARCHAR"}' for n, _, i in columns
        )
        statements.append(f"CREATE TABLE {name} ({inside})")
    for name, row in rows_of(domain, password):
        names = ", ".join(f'"{key.upper()}"' for key in row)
        values = ", ".join(map(_literal, row.values()))
        statements.append(f"INSERT INTO {name} ({names}) VALUES ({values})")
    program, script = directory / "Run.java", directory / "make.sql"
    program.write_text(RUN)
    script.write_text("\0".join([*statements, "SHUTDOWN"]), encoding="utf-8")
    (directory / "embedded-db").mkdir()
    subprocess.run(
        [
            java,
            "-cp",
            library,
            program,
            f"jdbc:hsqldb:file:{directory}/embedded-db/openfire",
            script,
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return directory / "embedded-db" / "openfire.script"


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'{}'".format(str(value).replace("'", "''"))


__all__ = ["as_script", "encrypted", "in_database", "keys", "rows_of"]
