"""The incidents: each begins when its context is entered, and is over when it is left."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from tests.drill.client import Client, Refused
from tests.drill.town import OURS, PEOPLE, PROSODY, XMPPD, Town, publish_whole
from tests.integration.prosody import Prosody
from tests.integration.raw_server import RawServer
from tests.name_server import NameThread

Incident = Callable[[Town], AbstractAsyncContextManager[object]]
DAY_S = 86_400.0
MOMENT_S = 4.0
"""For which a certificate is valid that expires in front of everybody."""

FLOOD_STANZAS = 2_400
SHOUTS = 3
LOGINS_AT_ONCE, LOGINS = 8, 96
CONFLICTS = 6
FULL_BYTES = 1_048_576
BODY = "x" * 1_000
UNREAD = 8_000

INCIDENTS: dict[str, Incident] = {}


def incident(name: str) -> Callable[[Callable[[Town], AsyncIterator[None]]], Incident]:
    """An incident, by the words for it in the manual."""

    def added(began: Callable[[Town], AsyncIterator[None]]) -> Incident:
        made: Incident = asynccontextmanager(began)
        INCIDENTS[name] = made
        return made

    return added


def of(name: str) -> str:
    """Somebody's address at our server."""
    return f"{name}@{OURS}"


async def here(town: Town, *names: str) -> list[Client]:
    """People who are available, and whose clients read."""
    clients = [await town.arrive(f"{name}@{OURS}/desk") for name in names]
    for client in clients:
        town.run(client.ignore())
    return clients


def gone(*clients: Client) -> None:
    """They are not, any more."""
    for client in clients:
        client.abort()


# -- presence that somebody does not see ----------------------------------------------------------


@incident("he does not see her: the roster")
async def roster(town: Town) -> AsyncIterator[None]:
    """He has her in his roster, and she was never asked."""
    clients = await here(town, "romeo", "juliet")
    town.server.tell("roster add", account=of("romeo"), contact=of("juliet"))
    yield
    gone(*clients)
    town.server.tell("roster remove", account=of("romeo"), contact=of("juliet"))


@incident("he does not see her: she blocks him")
async def block(town: Town) -> AsyncIterator[None]:
    """They are each other's contacts, and she has blocked him."""
    nurse, tybalt = clients = await here(town, "nurse", "tybalt")
    town.server.tell("roster add", account=of("nurse"), contact=of("tybalt"), mutual=True)
    item = f"<item jid='{tybalt.address.partition('/')[0]}'/>"
    nurse.send(f"<iq type='set' id='k'><block xmlns='urn:xmpp:blocking'>{item}</block></iq>")
    yield
    nurse.send(f"<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'>{item}</unblock></iq>")
    await nurse.drained()
    gone(*clients)


@incident("he does not see her: she is invisible")
async def invisible(town: Town) -> AsyncIterator[None]:
    """They are each other's contacts, and she is invisible."""
    rosaline, benvolio = await here(town, "rosaline", "benvolio")
    town.server.tell("roster add", account=of("rosaline"), contact=of("benvolio"), mutual=True)
    rosaline.send("<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
    yield
    gone(rosaline, benvolio)


@incident("he does not see her: her server is away")
async def away(town: Town) -> AsyncIterator[None]:
    """She is elsewhere, and that server is not running."""
    (romeo,) = await here(town, "romeo")
    await asyncio.to_thread(town.prosody.kill)
    romeo.send(f"<presence to='juliet@{PROSODY}'/>")
    romeo.say(f"juliet@{PROSODY}", "where are you?")
    yield
    gone(romeo)
    await asyncio.to_thread(town.prosody.start)
    town.server.tell("s2s close", domain=PROSODY)


# -- messages that do not arrive ------------------------------------------------------------------


@asynccontextmanager
async def written_to(town: Town, domain: str) -> AsyncIterator[None]:
    """Somebody here writes to somebody there."""
    (romeo,) = await here(town, "romeo")
    romeo.say(f"juliet@{domain}", "wherefore?")
    try:
        yield
    finally:
        gone(romeo)


@asynccontextmanager
async def written_from_xmppd(town: Town) -> AsyncIterator[None]:
    """Somebody at the other xmppd writes to somebody here."""
    with suppress(Exception):
        town.xmppd.add_user("juliet", "x")
    juliet = Client(town.xmppd.direct_tls_port, f"juliet@{XMPPD}/balcony")
    await juliet.log_in("x")
    juliet.say(of("romeo"), "wherefore?")
    try:
        yield
    finally:
        gone(juliet)


@asynccontextmanager
async def other_prosody(town: Town, **replaced: str) -> AsyncIterator[Prosody]:
    """Prosody with other settings, and no streams of before."""
    file = town.prosody.log.with_name("prosody.cfg.lua")
    before = file.read_text(encoding="utf-8")
    changed = before
    for old, new in replaced.items():
        line = next(each for each in before.splitlines() if each.strip().startswith(old))
        changed = changed.replace(line, new)
    await asyncio.to_thread(town.prosody.stop)
    file.write_text(changed, encoding="utf-8")
    await asyncio.to_thread(town.prosody.start)
    town.server.tell("s2s close", domain=PROSODY)
    try:
        yield town.prosody
    finally:
        await asyncio.to_thread(town.prosody.stop)
        file.write_text(before, encoding="utf-8")
        await asyncio.to_thread(town.prosody.start)
        town.server.tell("s2s close", domain=PROSODY)


@incident("nothing goes to them: their certificate")
async def their_certificate(town: Town) -> AsyncIterator[None]:
    """Theirs has expired."""
    world, files = town.world, town.prosody.log.parent
    world.authority.issue(PROSODY, days=-1, directory=files)
    async with other_prosody(town), written_to(town, PROSODY):
        yield
        world.authority.issue(PROSODY, directory=files)


@incident("nothing goes to them: DNS")
async def dns(town: Town) -> AsyncIterator[None]:
    """Their records are gone."""
    for name in (f"_xmpp-server._tcp.{PROSODY}", f"xmpp.{PROSODY}"):
        town.world.names.forget(name)
    town.server.tell("s2s close", domain=PROSODY)
    async with written_to(town, PROSODY):
        yield
    town.world.publish(town.prosody)
    town.server.tell("s2s close", domain=PROSODY)


@incident("nothing goes to them: they cannot be reached")
async def unreached(town: Town) -> AsyncIterator[None]:
    """Their records lead to a port at which nobody listens."""
    town.world.publish(town.prosody, port=1)
    town.server.tell("s2s close", domain=PROSODY)
    async with written_to(town, PROSODY):
        yield
    town.world.publish(town.prosody)
    town.server.tell("s2s close", domain=PROSODY)


@incident("nothing goes to them: we block them")
async def we_block(town: Town) -> AsyncIterator[None]:
    """Our configuration blocks them."""
    policy = f'[[s2s.domain]]\nname = "{PROSODY}"\nblock = true\n'
    async with town.configured(policy), written_to(town, PROSODY):
        yield
    town.server.tell("s2s close", domain=PROSODY)


@incident("nothing goes to them: they block us")
async def they_block(town: Town) -> AsyncIterator[None]:
    """The configuration of the other xmppd blocks us."""
    async with blocked_there(town), written_to(town, XMPPD):
        yield
    town.server.tell("s2s close", domain=XMPPD)


@asynccontextmanager
async def blocked_there(town: Town) -> AsyncIterator[None]:
    """The other xmppd blocks us for a while."""
    file = town.xmppd.directory / "xmppd.toml"
    before = file.read_text(encoding="utf-8")
    file.write_text(f'{before}[[s2s.domain]]\nname = "{OURS}"\nblock = true\n', encoding="utf-8")
    town.xmppd.tell("reload")
    town.server.tell("s2s close", domain=XMPPD)
    try:
        yield
    finally:
        file.write_text(before, encoding="utf-8")
        town.xmppd.tell("reload")


@incident("nothing goes to them: dialback")
async def dialback(town: Town) -> AsyncIterator[None]:
    """They believe no certificate, and for them DNS knows no server of ours."""
    names = NameThread()
    name_server = "@".join(map(str, names.address))
    try:
        async with (
            other_prosody(
                town,
                s2s_secure_auth="s2s_secure_auth = false",
                resolvconf=f'resolvconf = false, forward = {{ "{name_server}" }},',
                certificate=believing(town.prosody, town.world.unauthenticated.file),
            ),
            written_to(town, PROSODY),
        ):
            yield
    finally:
        names.stop()


def believing(prosody: Prosody, authority: Path) -> str:
    """The line of its certificate, and of whom it believes."""
    files = prosody.log.parent
    return (
        f'certificate = "{files}/{PROSODY}.crt", key = "{files}/{PROSODY}.key", '
        f'cafile = "{authority}", capath = "/nonexistent"'
    )


@incident("nothing goes to them: they are slow")
async def slow(town: Town) -> AsyncIterator[None]:
    """They read nothing more of a stream that there is."""
    clients = await here(town, *PEOPLE)
    to = f"juliet@{PROSODY}"
    clients[0].say(to, "can you hear me?")
    await until(lambda: any(row["state"] == "open" for row in town.server.streams(PROSODY)))
    pid = town.prosody.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        stanza = f"<message to='{to}'><body>{BODY}</body></message>"
        sending = [town.run(flooded(client, stanza)) for client in clients]
        yield
        for task in sending:
            task.cancel()
    finally:
        os.kill(pid, signal.SIGCONT)
    gone(*clients)
    town.server.tell("s2s close", domain=PROSODY)


@incident("nothing comes from them: their certificate")
async def strange_certificate(town: Town) -> AsyncIterator[None]:
    """Nobody here believes who has signed theirs."""
    world, there = town.world, town.xmppd
    world.unauthenticated.issue(XMPPD, directory=there.directory)
    there.tell("reload")
    close(town)
    async with written_from_xmppd(town):
        yield
    world.authority.issue(XMPPD, directory=there.directory)
    there.tell("reload")
    close(town)


def close(town: Town) -> None:
    """The two xmppd know no streams and no failures any more."""
    town.xmppd.tell("s2s close", domain=OURS)
    town.server.tell("s2s close", domain=XMPPD)


@incident("nothing comes from them: our DNS")
async def our_dns(town: Town) -> AsyncIterator[None]:
    """Our records are gone."""
    for service in ("_xmpp-client", "_xmpps-client", "_xmpp-server", "_xmpps-server"):
        town.world.names.forget(f"{service}._tcp.{OURS}")
    close(town)
    async with written_from_xmppd(town):
        yield
    publish_whole(town.world, town.server)
    close(town)


@incident("nothing comes from them: we block them")
async def blocked_here(town: Town) -> AsyncIterator[None]:
    """Our configuration blocks them."""
    async with town.configured(f'[[s2s.domain]]\nname = "{XMPPD}"\nblock = true\n'):
        close(town)
        async with written_from_xmppd(town):
            yield
    close(town)


@incident("nothing comes from them: dialback")
async def liar(town: Town) -> AsyncIterator[None]:
    """Somebody calls in their name, with a key that they do not know."""
    policy = f'[[s2s.domain]]\nname = "{XMPPD}"\nrequire_valid_certificate = false\n'
    async with town.configured(policy):
        certificate = town.world.authority.issue("tybalt.example")

        def call() -> None:
            stream = RawServer(town.server.s2s_port, XMPPD, OURS, certificate)
            stream.dialback("0123456789abcdef")
            stream.close()

        await asyncio.to_thread(call)
        yield
    async with written_from_xmppd(town):
        await until(lambda: bool(town.server.streams(XMPPD)))
    close(town)


# -- too much -------------------------------------------------------------------------------------


@incident("a flood of messages")
async def messages(town: Town) -> AsyncIterator[None]:
    """A client sends as many as it can."""
    mercutio, nurse = await here(town, "mercutio", "nurse")
    flood = town.run(flooded(mercutio, f"<message to='{of('nurse')}'><body>hey</body></message>"))
    yield
    flood.cancel()
    gone(mercutio, nurse)


@incident("a flood of requests")
async def requests(town: Town) -> AsyncIterator[None]:
    """A client asks as often as it can."""
    (paris,) = await here(town, "paris")
    flood = town.run(flooded(paris, "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"))
    yield
    flood.cancel()
    gone(paris)


async def flooded(client: Client, stanza: str) -> None:
    """Send it again and again, as fast as it is taken."""
    for _ in range(FLOOD_STANZAS):
        client.send(stanza)
        await client.drained()


@incident("a flood of logins")
async def logins(town: Town) -> AsyncIterator[None]:
    """Somebody tries one name after the other."""

    async def guess(number: int) -> None:
        for each in range(number, LOGINS, LOGINS_AT_ONCE):
            await refused(town, f"guest{each}@{OURS}", here="127.0.0.66")

    flood = [town.run(guess(number)) for number in range(LOGINS_AT_ONCE)]
    yield
    for task in flood:
        task.cancel()


async def refused(town: Town, account: str, *, here: str) -> None:
    """Try to log in with a wrong password."""
    client = Client(town.server.direct_tls_port, f"{account}/x", here=here)
    with suppress(Refused, EOFError, OSError):
        await client.log_in("a tulip")
    client.abort()


@incident("one user cannot log in")
async def password(town: Town) -> AsyncIterator[None]:
    """Her client has the password of before."""
    await refused(town, of("juliet"), here="127.0.0.7")
    yield


# -- what the server stands on --------------------------------------------------------------------


@incident("our certificate has expired")
async def expired(town: Town) -> AsyncIterator[None]:
    """It expires in front of everybody."""
    world, files = town.world, town.server.directory
    world.authority.issue(OURS, days=MOMENT_S / DAY_S, directory=files)
    town.server.tell("reload")
    await asyncio.sleep(MOMENT_S)
    yield
    world.authority.issue(OURS, days=80, directory=files)
    town.server.tell("reload")


@incident("the disk is full")
async def disk(town: Town) -> AsyncIterator[None]:
    """There is no room left, and somebody writes to somebody who is away."""
    assert town.disk is not None, "it needs a disk of its own: make drill has one"
    (romeo,) = await here(town, "romeo")
    filled = town.disk / "filled"
    with filled.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(FULL_BYTES)):
            pass
    for _ in range(SHOUTS):
        romeo.say(of("paris"), BODY)
    yield
    filled.unlink()
    gone(romeo)


@incident("the database is slow")
async def store(town: Town) -> AsyncIterator[None]:
    """Each call takes more than a second."""
    (romeo,) = await here(town, "romeo")
    town.server.tell("fault store", milliseconds="1500")

    async def write() -> None:
        for _ in range(60):
            romeo.say(of("paris"), "later")
            await asyncio.sleep(0.25)

    writing = town.run(write())
    yield
    writing.cancel()
    town.server.tell("fault clear")
    gone(romeo)


@incident("a plugin fails")
async def plugin(town: Town) -> AsyncIterator[None]:
    """It raises an exception now and then."""
    (romeo,) = await here(town, "romeo")
    for _ in range(SHOUTS):
        romeo.say(of("paris"), "HO THERE")
    yield
    gone(romeo)


# -- others ---------------------------------------------------------------------------------------


@incident("a client does not read")
async def unread(town: Town) -> AsyncIterator[None]:
    """Much is sent to a client that is there and takes nothing."""
    sleeper = await town.arrive(f"{of('tybalt')}/phone", reads=False)
    sending = town.run(town.component.say(of("tybalt"), BODY, UNREAD))
    yield
    sending.cancel()
    gone(sleeper)


@incident("a component is gone")
async def component(town: Town) -> AsyncIterator[None]:
    """Its program has ended."""
    town.component.abort()
    yield
    await town.component.connect()
    town.run(town.component.ignore())


@incident("the configuration was edited and not read")
async def edited(town: Town) -> AsyncIterator[None]:
    """Somebody has edited it and gone to lunch."""
    async with town.configured('[contact]\nabuse = ["mailto:abuse@example.org"]\n', read=False):
        yield


@incident("two clients throw each other out")
async def conflict(town: Town) -> AsyncIterator[None]:
    """Both want the same resource, and come back at once."""

    async def fight(address: str) -> None:
        for _ in range(CONFLICTS):
            client = Client(town.server.direct_tls_port, f"{of('benvolio')}/phone", here=address)
            await client.log_in()
            await client.to_the_end()

    fighting = [town.run(fight(address)) for address in ("127.0.0.8", "127.0.0.9")]
    yield
    for task in fighting:
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.05)


__all__ = ["INCIDENTS", "Incident"]
