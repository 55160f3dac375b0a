"""Why stanzas do not go to another server, or come from it, and what to do about that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from xmppd.explain.finding import counted
from xmppd.s2s.domain_pair import DomainPair
from xmppd.s2s.foreign_routes import ForeignRoutes


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause, with its remedy.

    Attributes:
        code: Its name for programs.
        says: What to do, without a full stop.
    """

    code: str
    says: str


REMEDIES: dict[str, str] = {
    "blocked": "take block = true out of its table [[s2s.domain]], if it is to be spoken with",
    "their-certificate": "its administrator has to show a certificate for {remote} that a trusted "
    'authority has signed; until then a table [[s2s.domain]] with name = "{remote}" and '
    "require_valid_certificate = false lets DNS and dialback prove its name",
    "no-authorities": "this machine has no list of authorities: install ca-certificates, or name a "
    "file in s2s.authorities",
    "our-certificate": "it rejects our certificate: see that xmppctl status says nothing about it, "
    "and that its file has the whole chain",
    "dialback": "it could not verify with us that this is {local}: DNS of {local} has to lead to "
    "this server, and its port for servers has to be reached from outside",
    "no-proof": "it takes neither our certificate nor dialback: give {local} a certificate that a "
    "public authority has signed",
    "private-address": "DNS leads to an address of a private network: name its host by "
    "[[s2s.domain]], or set s2s.allow_private",
    "no-such-server": "DNS knows no server of {remote}: see that the name is written right; if its "
    "DNS was mended, xmppctl s2s close {remote} has it asked again",
    "not-reached": "its server is away or too slow, or a firewall lies between: the rows above say "
    "which addresses were tried",
    "no-tls": "one side offers no TLS, or none that the other accepts, and it is required",
    "hung-up": "its administrator finds in the log there why it has hung up",
    "wrong-key": "who has called is not {remote}, or the nodes of its service have different "
    "secrets",
    "cannot-be-asked": "its name is verified by a stream from here to {remote}, which fails: see "
    "the rows of that",
    "not-served": "it asks for a domain that is not served here: add that as a [[domain]], or mend "
    "its DNS",
    "other": "the rows above have all that is known here; the log there may have more",
}
"""What to do, by the code of the cause."""

_CERTIFICATE = r"the certificate (is|cannot)|no certificate was shown"
_REJECTED = r"does not believe our certificate|TLS failed.*(unknown ca|certificate)"

_TO_THEM: tuple[tuple[str, str], ...] = (
    (r"does not speak with", "blocked"),
    (_CERTIFICATE, "their-certificate"),
    (r"no authority is trusted", "no-authorities"),
    (_REJECTED, "our-certificate"),
    (r"dialback", "dialback"),
    (r"offers no way to prove", "no-proof"),
    (r"no public address", "private-address"),
    (r"has no XMPP server|no such", "no-such-server"),
    (r"cannot be reached|in time|did not answer|connection was lost", "not-reached"),
    (r"offers no TLS|cannot begin TLS|TLS failed|does not speak TLS", "no-tls"),
    (r"it closed|it did not", "hung-up"),
)
"""The codes of the reasons for which streams that we open fail."""

_FROM_THEM: tuple[tuple[str, str], ...] = (
    (r"blocked", "blocked"),
    (_CERTIFICATE, "their-certificate"),
    (r"no authority is trusted", "no-authorities"),
    (_REJECTED, "our-certificate"),
    (r"does not know the key", "wrong-key"),
    (r"cannot be asked", "cannot-be-asked"),
    (r"item-not-found|host-unknown", "not-served"),
    (r"TLS failed|does not speak TLS|policy-violation", "no-tls"),
    (r"it closed", "hung-up"),
)
"""Those of the reasons for which servers that connect to us are turned away."""


def of_pair(pair: DomainPair) -> Cause | None:
    """The cause for which stanzas do not leave; None if they do."""
    if pair.why is None or pair.carrier is not None:
        return None
    return of_failure(pair.why.text or "", pair.local, pair.remote)


def of_failure(why: str, local: str, remote: str) -> Cause:
    """The cause for which a stream that we have opened has failed."""
    return _cause(_TO_THEM, why, local, remote)


def of_refusal(why: str, remote: str) -> Cause:
    """The cause for which a server that has connected to us was turned away."""
    return _cause(_FROM_THEM, why, "", remote)


def _cause(table: tuple[tuple[str, str], ...], why: str, local: str, remote: str) -> Cause:
    code = next((code for pattern, code in table if re.search(pattern, why)), "other")
    return Cause(code, REMEDIES[code].format(local=local, remote=remote))


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
            said.append(f"not tried again before {pair.retry_in_s:.0f} s have passed")
        yield f"{pair.local} to {pair.remote}", "; ".join(said)


__all__ = ["REMEDIES", "Cause", "of_failure", "of_pair", "of_refusal", "states"]
