"""The SASL mechanisms there are, and those that a stream may use."""

from collections.abc import Callable, Iterable, Mapping

from xmppd.auth.anonymous import AnonymousMechanism
from xmppd.auth.base import AuthProvider, Exchange, Mechanism, SASLError
from xmppd.auth.bearer import BearerMechanism
from xmppd.auth.external import ExternalMechanism, certified_accounts
from xmppd.auth.plain import PlainMechanism
from xmppd.auth.scram import scram

Factory = Callable[[Exchange, AuthProvider], Mechanism]

MECHANISMS: Mapping[str, Factory] = {
    "EXTERNAL": ExternalMechanism,
    "SCRAM-SHA-512-PLUS": scram("SHA-512", plus=True),
    "SCRAM-SHA-256-PLUS": scram("SHA-256", plus=True),
    "SCRAM-SHA-1-PLUS": scram("SHA-1", plus=True),
    "SCRAM-SHA-512": scram("SHA-512"),
    "SCRAM-SHA-256": scram("SHA-256"),
    "SCRAM-SHA-1": scram("SHA-1"),
    "OAUTHBEARER": BearerMechanism,
    "PLAIN": PlainMechanism,
    "ANONYMOUS": AnonymousMechanism,
}
"""Every mechanism we know, the strongest first."""

_SCRAM = "SCRAM-"


def offered(
    configured: Iterable[str],
    exchange: Exchange,
    provider: AuthProvider,
    *,
    tls_required: bool = True,
) -> tuple[str, ...]:
    """The configured mechanisms that this stream may use, in the administrator's order.

    Those of hashes of which some accounts have no keys are left out: a client tries the strongest
    one, and takes its refusal for a wrong password (AU-16).

    Args:
        configured: ``mechanisms`` of ``[auth]``.
        exchange: The stream; what it offers is not known yet.
        provider: Says what accounts of the domain can prove themselves by.
        tls_required: ``required`` of ``[tls]``; only false allows passwords in the clear.
    """
    has_keys = provider.has_keys(exchange.domain)
    usable = [
        name
        for name in configured
        if _usable(name, exchange, tls_required)
        and (has_keys or not name.startswith(_SCRAM))
        and (name != "PLAIN" or provider.has_passwords(exchange.domain))
        and (name != "OAUTHBEARER" or provider.takes_tokens(exchange.domain))
    ]
    missing = provider.missing_hashes(exchange.domain)
    for_all = [name for name in usable if _hash(name) not in missing]
    takes_passwords = any(name == "PLAIN" or name.startswith(_SCRAM) for name in for_all)
    return tuple(for_all if takes_passwords else usable)


def begin(name: str, exchange: Exchange, provider: AuthProvider) -> Mechanism:
    """A new exchange of the mechanism that the client chose.

    Raises:
        SASLError: ``invalid-mechanism``: it was not offered.
    """
    if name not in exchange.offered:
        raise SASLError("invalid-mechanism", "This mechanism was not offered.")
    return MECHANISMS[name](exchange, provider)


def _hash(name: str) -> str:
    """The hash of a mechanism of SCRAM; empty for any other."""
    return name.removeprefix(_SCRAM).removesuffix("-PLUS") if name.startswith(_SCRAM) else ""


def _usable(name: str, exchange: Exchange, tls_required: bool) -> bool:
    if name.endswith("-PLUS"):
        return bool(exchange.bindings)
    if name == "PLAIN":
        return exchange.encrypted or not tls_required
    if name == "OAUTHBEARER":
        return exchange.encrypted
    if name == "EXTERNAL":
        return exchange.encrypted and bool(certified_accounts(exchange))
    return True
