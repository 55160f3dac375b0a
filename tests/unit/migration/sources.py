"""Sources of each kind that people move out of, with as many people as are wanted."""

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from hashlib import pbkdf2_hmac, sha1
from hmac import digest
from pathlib import Path

from sqlalchemy import make_url

from tests.integration.openfire import in_database
from tests.unit.migration.test_ejabberd_sql import MONGOOSE, SCHEMA

DOMAIN = "montague.lit"
PASSWORD = "wherefore"
PEOPLE = 60
MESSAGES = 3
SALT, ITERATIONS = b"0123456789abcdef", 4096
SALTED = pbkdf2_hmac("sha1", PASSWORD.encode(), SALT, ITERATIONS)
STORED = sha1(digest(SALTED, b"Client Key", "sha1")).digest()
SERVER = digest(SALTED, b"Server Key", "sha1")
CARD = "<vCard xmlns='vcard-temp'><FN>{}</FN></vCard>"
MESSAGE = (
    "<message xmlns='jabber:client' from='{0}@montague.lit/x' to='{0}@montague.lit' type='chat' "
    "id='{1}'><body>{1}</body></message>"
)
AT_US = 1_600_000_000_000_000
SCRIPT = """\
CREATE MEMORY TABLE PUBLIC.OFUSER(USERNAME VARCHAR(64),STOREDKEY VARCHAR(32),\
SERVERKEY VARCHAR(32),SALT VARCHAR(32),ITERATIONS INTEGER)
CREATE MEMORY TABLE PUBLIC.OFROSTER(ROSTERID BIGINT,USERNAME VARCHAR(64),JID VARCHAR(1024),\
SUB INTEGER,ASK INTEGER,RECV INTEGER,NICK VARCHAR(255))
CREATE MEMORY TABLE PUBLIC.OFVCARD(USERNAME VARCHAR(64),VCARD LONGVARCHAR)
CREATE MEMORY TABLE PUBLIC.OFPROPERTY(NAME VARCHAR(100),PROPVALUE LONGVARCHAR)
"""
PROSODY = """
CREATE TABLE prosody (host, user, store, key, type, value);
CREATE TABLE prosodyarchive (sort_id INTEGER PRIMARY KEY, host, user, store, key, "when", "with",
    type, value);
"""


def people() -> Iterator[tuple[str, str]]:
    """Everybody, and whom they have as a contact."""
    names = [f"n{number:03}" for number in range(PEOPLE)]
    yield from zip(names, [*names[1:], names[0]], strict=True)


def texts(*values: bytes) -> list[str]:
    """Bytes in Base64."""
    return [b64encode(value).decode() for value in values]


def of_openfire(directory: Path) -> tuple[str, Path]:
    """The tables of an Openfire, in SQLite."""
    path = directory / "openfire.sqlite"
    in_database(make_url(f"sqlite:///{path}"), DOMAIN, PASSWORD)
    stored, server, salt = texts(STORED, SERVER, SALT)
    with closing(sqlite3.connect(path)) as database, database:
        for number, (name, contact) in enumerate(people(), 1_000):
            database.execute(
                "INSERT INTO ofUser (username, storedKey, serverKey, salt, iterations, "
                "creationDate) VALUES (?, ?, ?, ?, ?, '001600000000000')",
                (name, stored, server, salt, ITERATIONS),
            )
            database.execute("INSERT INTO ofVCard VALUES (?, ?)", (name, CARD.format(name)))
            database.execute(
                "INSERT INTO ofRoster VALUES (?, ?, ?, 3, -1, -1, 'a', NULL)",
                (number, name, f"{contact}@{DOMAIN}"),
            )
            for each in range(MESSAGES):
                database.execute(
                    "INSERT INTO ofOffline VALUES (?, ?, '001600000000000', 1, ?)",
                    (name, number * 10 + each, MESSAGE.format(name, each)),
                )
    return "openfire", path


def of_ejabberd(directory: Path) -> tuple[str, Path]:
    """The tables of an ejabberd, in SQLite."""
    path = directory / "ejabberd.sqlite"
    stored, server, salt = texts(STORED, SERVER, SALT)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SCHEMA)
        database.execute("DELETE FROM users")
        for name, contact in people():
            database.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)",
                (name, DOMAIN, stored, server, salt, ITERATIONS),
            )
            database.execute(
                "INSERT INTO vcard VALUES (?, ?, ?)", (name, DOMAIN, CARD.format(name))
            )
            database.execute(
                "INSERT INTO rosterusers VALUES (?, ?, ?, 'a', 'B', 'N', '', 'N', '', '')",
                (name, DOMAIN, f"{contact}@{DOMAIN}"),
            )
            for each in range(MESSAGES):
                database.execute(
                    "INSERT INTO spool (username, server_host, xml) VALUES (?, ?, ?)",
                    (name, DOMAIN, MESSAGE.format(name, each)),
                )
    return "ejabberd", path


def of_ejabberd_dump(directory: Path) -> tuple[str, Path]:
    """What an ejabberd writes of its Mnesia."""
    path = directory / "dump.txt"
    stored, server, salt = texts(STORED, SERVER, SALT)
    head = (
        "{tables,[{passwd,[{attributes,[us,password]}]},{vcard,[{attributes,[us,vcard]}]},"
        "{roster,[{attributes,[usj,us,jid,name,subscription,ask,groups,askmessage,xs]}]}]}."
    )
    lines = [head]
    for name, contact in people():
        us = f'{{<<"{name}">>,<<"{DOMAIN}">>}}'
        other = f'{{<<"{contact}">>,<<"{DOMAIN}">>,<<>>}}'
        keys = f'{{scram,<<"{stored}">>,<<"{server}">>,<<"{salt}">>,sha,{ITERATIONS}}}'
        lines.append(f"{{passwd,{us},{keys}}}.")
        lines.append(f'{{roster,{{{us},{other}}},{us},{other},<<"a">>,both,none,[],<<>>,[]}}.')
        card = (
            f'{{xmlel,<<"vCard">>,[{{<<"xmlns">>,<<"vcard-temp">>}}],'
            f'[{{xmlel,<<"FN">>,[],[{{xmlcdata,<<"{name}">>}}]}}]}}'
        )
        lines.append(f"{{vcard,{us},{card}}}.")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "ejabberd", path


def of_prosody(directory: Path) -> tuple[str, Path]:
    """The files of a Prosody."""
    host = directory / "prosody" / "montague%2elit"
    for kind in ("accounts", "roster", "offline"):
        (host / kind).mkdir(parents=True)
    for name, contact in people():
        (host / "accounts" / f"{name}.dat").write_text(
            f'return {{ ["stored_key"] = "{STORED.hex()}"; ["server_key"] = "{SERVER.hex()}"; '
            f'["salt"] = "{SALT.decode()}"; ["iteration_count"] = {ITERATIONS}; }};\n'
        )
        (host / "roster" / f"{name}.dat").write_text(
            f'return {{ ["{contact}@{DOMAIN}"] = {{ ["subscription"] = "both"; ["name"] = "a"; '
            '["groups"] = {}; }; };\n'
        )
        (host / "offline" / f"{name}.list").write_text(
            "".join(
                'item({ ["name"] = "message"; '
                f'["attr"] = {{ ["from"] = "{name}@{DOMAIN}/x"; ["to"] = "{name}@{DOMAIN}" }}; '
                f'{{ "{each}"; ["name"] = "body"; ["attr"] = {{}} }}; ["when"] = 1600000000 }});\n'
                for each in range(MESSAGES)
            )
        )
    return "prosody", host.parent


def of_prosody_database(directory: Path) -> tuple[str, Path]:
    """The tables of a Prosody, in SQLite."""
    path = directory / "prosody.sqlite"
    account = {"stored_key": STORED.hex(), "server_key": SERVER.hex(), "salt": SALT.decode()}
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(PROSODY)
        for name, contact in people():
            item = json.dumps({"subscription": "both", "name": "a", "groups": {}})
            rows = [("accounts", key, "string", value) for key, value in account.items()]
            rows.append(("accounts", "iteration_count", "number", str(ITERATIONS)))
            rows.append(("roster", f"{contact}@{DOMAIN}", "json", item))
            for row in rows:
                database.execute(
                    "INSERT INTO prosody VALUES (?, ?, ?, ?, ?, ?)", (DOMAIN, name, *row)
                )
            for store in ("offline", "archive"):
                for each in range(MESSAGES):
                    values = (DOMAIN, name, store, str(each), MESSAGE.format(name, each))
                    database.execute(
                        "INSERT INTO prosodyarchive VALUES "
                        "(NULL, ?, ?, ?, ?, 1600000000, '', 'xml', ?)",
                        values,
                    )
    return "prosody", path


def of_mongooseim(directory: Path) -> tuple[str, Path]:
    """The tables of a MongooseIM, in SQLite."""
    path = directory / "mongooseim.sqlite"
    stored, server, salt = texts(STORED, SERVER, SALT)
    sha = {"salt": salt, "stored_key": stored, "server_key": server}
    details = json.dumps({"iteration_count": ITERATIONS, "sha": sha})
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(MONGOOSE)
        for number, (name, contact) in enumerate(people()):
            database.execute("INSERT INTO users VALUES (?, ?, '', ?)", (name, DOMAIN, details))
            database.execute(
                "INSERT INTO rosterusers VALUES (?, ?, ?, 'a', 'B', 'N', '')",
                (name, DOMAIN, f"{contact}@{DOMAIN}"),
            )
            for each in range(MESSAGES):
                database.execute(
                    "INSERT INTO offline_message VALUES (?, ?, NULL, ?, ?, '', ?, '')",
                    (number * 10 + each, AT_US, DOMAIN, name, MESSAGE.format(name, each)),
                )
    return "mongooseim", path


def of_openfire_script(directory: Path) -> tuple[str, Path]:
    """The script of the database that an Openfire brings."""
    stored, server, salt = texts(STORED, SERVER, SALT)
    lines = [*SCRIPT.splitlines(), f"INSERT INTO OFPROPERTY VALUES('xmpp.domain','{DOMAIN}')"]
    for number, (name, contact) in enumerate(people()):
        card = CARD.format(name).replace("'", "''")
        lines += [
            f"INSERT INTO OFUSER VALUES('{name}','{stored}','{server}','{salt}',{ITERATIONS})",
            f"INSERT INTO OFROSTER VALUES({number},'{name}','{contact}@{DOMAIN}',3,-1,-1,'a')",
            f"INSERT INTO OFVCARD VALUES('{name}','{card}')",
        ]
    path = directory / "openfire.script"
    path.write_text("\n".join(lines) + "\n")
    return "openfire", path


def of_openfire_xml(directory: Path) -> tuple[str, Path]:
    """What a plugin of an Openfire writes."""
    path = directory / "openfire.xml"
    users = "".join(
        f"<User><Username>{name}</Username><Password>{PASSWORD}</Password><Name>{name}</Name>"
        f"<Roster><Item jid='{contact}@{DOMAIN}' askstatus='-1' recvstatus='-1' substatus='3' "
        "name='a'/></Roster></User>\n"
        for name, contact in people()
    )
    path.write_text(f"<Openfire>{users}</Openfire>")
    return "openfire", path


def of_xep0227(directory: Path) -> tuple[str, Path]:
    """A file as any server may write it."""
    path = directory / "people.xml"
    keys = "".join(
        f"<{name}>{text}</{name}>"
        for name, text in zip(
            ("stored-key", "server-key", "salt"), texts(STORED, SERVER, SALT), strict=True
        )
    )
    inside = [
        f"<user name='{name}'><scram-credentials xmlns='urn:xmpp:pie:0#scram' "
        f"mechanism='SCRAM-SHA-1'>{keys}<iter-count>{ITERATIONS}</iter-count></scram-credentials>"
        f"<query xmlns='jabber:iq:roster'><item jid='{contact}@{DOMAIN}' subscription='both' "
        f"name='a'/></query>{CARD.format(name)}<offline-messages>"
        f"{''.join(MESSAGE.format(name, each) for each in range(MESSAGES))}"
        "</offline-messages></user>\n"
        for name, contact in people()
    ]
    head = f"<server-data xmlns='urn:xmpp:pie:0'><host jid='{DOMAIN}'>"
    path.write_text(f"{head}{''.join(inside)}</host></server-data>")
    return "xep0227", path


SOURCES: Mapping[str, Callable[[Path], tuple[str, Path]]] = {
    "ejabberd": of_ejabberd,
    "ejabberd dump": of_ejabberd_dump,
    "mongooseim": of_mongooseim,
    "openfire": of_openfire,
    "openfire script": of_openfire_script,
    "openfire xml": of_openfire_xml,
    "prosody": of_prosody,
    "prosody database": of_prosody_database,
    "xep0227": of_xep0227,
}
"""What makes a source of each kind in a directory: its format, and where it is."""
