"""Why stanzas do not go to another server, or come from it, and what to do about that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from xmppd.resolve.attempts import AttemptStep
from xmppd.s2s.domain_pair import OPEN, STREAM_FROM, DomainPair
from xmppd.s2s.foreign_routes import FORGOTTEN, REFUSED, ForeignRoutes
from xmppd.s2s.server_stream import CALL_FROM
from xmppd.stanza.phrases import counted


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause, with its remedy.

    Attributes:
        code: Its name for programs.
        says: What to do, without a full stop.
        about: What it is the cause of, with the reason that was given.
    """

    code: str
    says: str
    about: str

    def __str__(self) -> str:
        return f"{self.about}: {self.says}"


REMEDIES: dict[str, str] = {
    "blocked": "to allow that server, remove block = true from its table [[s2s.domain]]",
    "their-certificate": "the other administrator must get a certificate for {remote} from a "
    "trusted authority; until then, a table [[s2s.domain]] with name = "
    '"{remote}" and require_valid_certificate = false accepts DNS and '
    "dialback as proof",
    "no-authorities": "this machine has no list of authorities: install ca-certificates, or name a "
    "file in s2s.authorities",
    "our-certificate": "the other server rejects this server's certificate: see whether xmppctl "
    "status reports a problem with it, and check that its file has the whole chain",
    "dialback": "the other server could not verify {local} by dialback: DNS of {local} must lead "
    "to this server, and the port for servers must be reachable from outside",
    "no-proof": "the other server accepts neither this server's certificate nor dialback: get "
    "{local} a certificate from a public authority",
    "private-address": "DNS leads to an address in a private network: name the host in "
    "[[s2s.domain]], or set s2s.allow_private",
    "no-such-server": "DNS has no XMPP server for {remote}: check the spelling; if its DNS was "
    "corrected, xmppctl s2s close {remote} makes this server ask again",
    "not-reached": "the other server is down or too slow, or a firewall is in between: the rows "
    "above show which addresses were tried",
    "no-tls": "TLS is required, but one side offers none, or none that the other accepts",
    "slow": "the other server reads more slowly than this one sends, or the network is slow; "
    "stanzas that wait longer than s2s.max_queue_age_s are returned",
    "silent": "the other server hangs, or cannot connect to this server to answer; what was sent "
    "to it may be lost: ask its administrator",
    "refused-there": "the other server does not allow stanzas from {local}: ask its administrator",
    "hung-up": "the other server closed the connection; its log should say why",
    "wrong-key": "the peer is not {remote}, or the nodes of its service have different secrets",
    "cannot-be-asked": "this server verifies the name by a stream to {remote}, which fails: see "
    "the rows about that stream",
    "not-served": "the other server asks for a domain that this server does not serve: add a "
    "[[domain]] for it, or correct its DNS",
    "other": "the rows above show all that this server knows; the other server's log may say more",
}
"""What to do, by the code of the cause."""

_CERTIFICATE = r"the certificate is|sent no certificate"
_REJECTED = r"rejects this server's certificate|TLS failed.*(unknown ca|certificate)"

_TO_THEM: tuple[tuple[str, str], ...] = (
    (r"does not communicate with", "blocked"),
    (_CERTIFICATE, "their-certificate"),
    (r"no authority is trusted", "no-authorities"),
    (_REJECTED, "our-certificate"),
    (r"offers neither EXTERNAL", "no-proof"),
    (r"dialback", "dialback"),
    (r"no public address", "private-address"),
    (r"has no XMPP server|no such", "no-such-server"),
    (r"cannot be reached|in time|did not answer|connection was lost", "not-reached"),
    (r"offers no TLS|cannot start TLS|TLS failed|does not use TLS", "no-tls"),
    (r"server closed the stream: (policy-violation|not-authorized|not-allowed)", "refused-there"),
    (r"server closed|server did not", "hung-up"),
)
"""The codes of the reasons for which streams that we open fail."""

_FROM_THEM: tuple[tuple[str, str], ...] = (
    (r"s2s.domain blocks", "blocked"),
    (_CERTIFICATE, "their-certificate"),
    (r"no authority is trusted", "no-authorities"),
    (_REJECTED, "our-certificate"),
    (r"does not know the key", "wrong-key"),
    (r"cannot be asked", "cannot-be-asked"),
    (r"item-not-found|host-unknown", "not-served"),
    (r"TLS failed|does not use TLS|policy-violation", "no-tls"),
    (r"server closed", "hung-up"),
)
"""Those of the reasons for which servers that connect to us are turned away."""


def causes(routes: ForeignRoutes, remote: str) -> list[Cause]:
    """Those in the way of stanzas to a domain elsewhere, and of stanzas from there."""
    pairs = [pair for pair in routes.pairs.values() if pair.remote == remote]
    found = [cause for pair in pairs if (cause := of_pair(pair)) is not None]
    known = {pair.local for pair in pairs}
    found += [
        of_failure(why, local, remote)
        for local, why in _failures(routes, remote).items()
        if local not in known  # it failed, and is over
    ]
    calls = [step for step in present(routes, remote) if step.what.startswith(CALL_FROM)]
    if routes.policies.of(remote).block:
        found.append(of_refusal("s2s.domain blocks it", remote))
    elif calls and calls[-1].kind == REFUSED:
        found.append(of_refusal(calls[-1].outcome, remote))
    return list(dict.fromkeys(found))


def failure(routes: ForeignRoutes, local: str, remote: str) -> str:
    """The reason for which the last try to reach a domain has failed; empty if it has not, or there
    was none.
    """
    pair = routes.pairs.get((local, remote))
    if pair is not None and (pair.carrier is not None or pair.why is not None):
        return "" if pair.why is None else pair.why.text or pair.why.condition.tag
    return _failures(routes, remote).get(local, "")


def _failures(routes: ForeignRoutes, remote: str) -> dict[str, str]:
    """The reasons for which the last tries have failed, by our domain."""
    tries = {
        step.what.removeprefix(STREAM_FROM): step.outcome
        for step in present(routes, remote)
        if step.what.startswith(STREAM_FROM)
    }
    return {local: outcome for local, outcome in tries.items() if outcome != OPEN}


def present(routes: ForeignRoutes, remote: str) -> list[AttemptStep]:
    """The steps since somebody had all of them forgotten, the oldest first."""
    all_of_them = steps(routes, remote)
    ends = [at for at, step in enumerate(all_of_them, 1) if step.outcome == FORGOTTEN]
    return all_of_them[ends[-1] if ends else 0 :]


def steps(routes: ForeignRoutes, remote: str) -> list[AttemptStep]:
    """The steps of both directions, the oldest first."""
    history = routes.history
    both = (*history.refusals.of(remote), *history.attempts.of(remote))
    return sorted(both, key=lambda step: step.at)


def of_pair(pair: DomainPair) -> Cause | None:
    """The cause for which stanzas do not leave; None if they do."""
    local, remote = pair.local, pair.remote
    if pair.carrier is not None:
        if pair.carrier.full:
            return _slow(pair)
        return _silent(pair) if pair.is_silent else None
    return None if pair.why is None else of_failure(pair.why.text or "", local, remote)


def _slow(pair: DomainPair) -> Cause:
    waiting = counted(len(pair.backlog), "stanza")
    about = f"{pair.remote} reads slowly ({waiting} waiting)"
    return Cause("slow", REMEDIES["slow"], about)


def _silent(pair: DomainPair) -> Cause:
    about = f"{pair.remote} accepts stanzas from {pair.local}, but does not answer"
    return Cause("silent", REMEDIES["silent"], about)


def of_failure(why: str, local: str, remote: str) -> Cause:
    """The cause for which a stream that we have opened has failed."""
    about = f"{local} cannot reach {remote} ({why})"
    return _cause(_TO_THEM, why, about, local=local, remote=remote)


def of_refusal(why: str, remote: str) -> Cause:
    """The cause for which a server that has connected to us was turned away."""
    about = f"{remote} cannot reach this server ({why})"
    return _cause(_FROM_THEM, why, about, local="", remote=remote)


def _cause(table: tuple[tuple[str, str], ...], why: str, about: str, **domains: str) -> Cause:
    code = next((code for pattern, code in table if re.search(pattern, why)), "other")
    return Cause(code, REMEDIES[code].format(**domains), about)


def states(routes: ForeignRoutes, remote: str) -> Iterator[tuple[str, str]]:
    """The pair of each of our domains with one elsewhere, and its state in a few words."""
    for pair in routes.pairs.values():
        if pair.remote != remote:
            continue
        said = [pair.state]
        if pair.why is not None and pair.carrier is None:
            said[0] += f": {pair.why.text or pair.why.condition.tag}"
        if pair.failures:
            said.append(counted(pair.failures, "failure"))
        if pair.backlog:
            said.append(f"{counted(len(pair.backlog), 'stanza')} waiting")
        if pair.carrier is None and pair.retry_in_s:
            said.append(f"tried again in {pair.retry_in_s:.0f} s")
        yield f"{pair.local} to {pair.remote}", "; ".join(said)


__all__ = [
    "REMEDIES",
    "Cause",
    "causes",
    "failure",
    "of_failure",
    "of_pair",
    "of_refusal",
    "states",
    "steps",
]
