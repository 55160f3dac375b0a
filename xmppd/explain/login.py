"""Why somebody can log in, or cannot."""

from collections.abc import Iterator
from dataclasses import replace

from xmppd.auth.attempts import network_of
from xmppd.explain.finding import Finding
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import JID
from xmppd.stanza.date_time import date_time
from xmppd.stanza.phrases import counted, listed
from xmppd.store.accounts import Credentials

_GUESSED = "not-authorized"


async def explain_login(server: XMPPServer, account: JID) -> list[Finding]:
    """What stands in the way of a login, as far as this node knows.

    Returns:
        The outcome, then what it follows from, then other facts.
    """
    known = await server.store.accounts.credentials(account.bare)
    found = [
        *_account(server, account, known),
        *_server(server),
        *_limits(server, account),
        *_failures(server, account),
    ]
    cause = next((finding for finding in found if finding.hinders), None)
    if cause is None:
        return [Finding("may", f"{account} may log in", decides=True), *found]
    rest = [finding for finding in found if finding is not cause]
    outcome = Finding("may_not", f"{account} cannot log in at the moment")
    return [outcome, replace(cause, decides=True), *rest]


def _account(server: XMPPServer, account: JID, known: Credentials | None) -> Iterator[Finding]:
    if account.domain not in server.domains:
        yield Finding("not_ours", f"this server does not serve {account.domain}", hinders=True)
    elif known is None:
        yield Finding("no_account", f"{account} does not exist", hinders=True)
    else:
        yield from _disabled(account, known)
        yield _mechanisms(server, known)


def _disabled(account: JID, known: Credentials) -> Iterator[Finding]:
    until = "" if known.disabled_until is None else date_time(known.disabled_until)
    if known.disabled:
        when = f" until {until}" if until else ""
        says = f"{account} is disabled{when}; xmppctl user enable enables it again"
        yield Finding("disabled", f"{says} now" if until else says, hinders=True)
    elif until:
        yield Finding("was_disabled", f"{account} was disabled until {until}, which is over")


def _mechanisms(server: XMPPServer, known: Credentials) -> Finding:
    """The mechanisms that are offered and for which the account has what they need."""
    offered = server.authentication.settings.mechanisms
    able = [name for name in offered if _has_key(name, known)]
    if not able:
        return Finding(
            "no_mechanism",
            f"the account's keys fit none of the offered mechanisms ({', '.join(offered)}): set "
            "a new password",
            hinders=True,
        )
    tls = ", under TLS only" if server.config.tls.required else ""
    return Finding("mechanisms", f"the account's keys allow {listed(able)}{tls}")


def _has_key(mechanism: str, known: Credentials) -> bool:
    """Whether an account has what a mechanism asks for."""
    name = mechanism.removesuffix("-PLUS")
    if name.startswith("SCRAM-"):
        return name.removeprefix("SCRAM-").lower() in {hash.lower() for hash in known.keys}
    return name == "EXTERNAL" or (name == "PLAIN" and bool(known.keys))


def _server(server: XMPPServer) -> Iterator[Finding]:
    """What keeps everybody out."""
    connections, queue = server.client_connections, server.client_connections.login_queue
    failing = server.store.watched.failing()
    if "read" in failing:
        yield Finding(
            "store_fails", f"the database cannot be read ({failing['read']})", hinders=True
        )
    if server.cluster.membership.node.draining:
        yield Finding("drains", "this node is drained, and accepts no logins", hinders=True)
    if len(connections.unauthenticated) > connections.settings.max_unauthenticated:
        yield Finding(
            "full",
            f"connections that have not logged in: {len(connections.unauthenticated)}, as many as "
            "stream.max_unauthenticated allows",
            hinders=True,
        )
    if queue.waiting:
        yield Finding(
            "waits",
            f"the server is busy: {counted(queue.waiting, 'login')} waiting, "
            f"{queue.in_progress} in progress",
            "SC-11",
        )


def _limits(server: XMPPServer, account: JID) -> Iterator[Finding]:
    """Limits of the account."""
    here = server.session_manager.local_sessions(account.bare)
    most = server.config.sessions.max_per_account
    if len(here) >= most and not any(session.detached for session in here):
        yield Finding(
            "too_many_sessions",
            f"the account has {counted(len(here), 'session')}, as many as "
            "sessions.max_per_account allows: end one",
            hinders=True,
        )
    elif here:
        yield Finding(
            "sessions",
            f"the account has {counted(len(here), 'session')} here; at most {most} are allowed",
        )
    delay_s = server.attempts.delay_elsewhere_s(account.bare)
    if delay_s:
        yield Finding(
            "guessed",
            "someone tried to guess the password: logins from unfamiliar networks wait "
            f"{delay_s:.0f} s; xmppctl user unlock ends this",
            "AT-2",
        )


def _failures(server: XMPPServer, account: JID) -> Iterator[Finding]:
    """The last failures, the newest first, and whether they are locked out by now."""
    clocks, told = server.clocks, set[str]()
    for failure in reversed(server.attempts.failures.of(account.bare)):
        reason = "wrong password" if failure.condition == _GUESSED else failure.condition
        yield Finding(
            "failed",
            f"a login from {failure.address} with {failure.mechanism} failed at "
            f"{date_time(clocks.stamp(failure.at))}: {reason}",
        )
        network = network_of(failure.address)
        locked_s = server.attempts.locked_s(failure.address)
        if locked_s and network not in told:
            told.add(network)
            yield Finding(
                "locked",
                f"logins from {network} are refused for another {locked_s:.0f} s, because too many "
                "from there failed",
                "AT-1",
            )
