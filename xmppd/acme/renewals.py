"""Renewals: certificates of domains with ``acme = true``, had in time, and shown at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from xmppd.acme.authority_thread import AuthorityThread
from xmppd.acme.not_issued import NotIssued, Stopped
from xmppd.config.config import DomainSettings
from xmppd.host.clocks import UNKNOWN, Clocks
from xmppd.host.data_directory import write_private
from xmppd.net.certificate import load_identity, xmpp_addresses

LOOK_S = 60.0
RETRY_FIRST_S = 600.0
RETRY_MAX_S = 86_400.0
"""Authorities count what fails: some refuse the sixth attempt of an hour."""

PRESSING_S = 3 * 86_400.0
"""From then on a failure is an error, no longer a warning."""

LIFE_LEFT = 1 / 3
"""A certificate is renewed when this part of its life is left, if its authority says nothing."""

LIFE_LEFT_AT_LEAST = 1 / 6
"""It is renewed then, whatever its authority says."""

JITTER = 1 / 30
"""The part of its life by which it may be renewed earlier: not all are, in the same minute."""

_log = Logger()


@dataclass
class Upkeep:
    """How it goes with the certificate of one domain.

    Attributes:
        files: The domain, with its file.
        failures: How often it has failed since it was issued.
        trouble: Why it failed the last time; empty if it did not.
        refused: Names that the authority has not taken for ours.
        retry_at: The moment before which it is not tried again.
        renew_at: The stamp that the authority suggests; None if it does not.
        ask_at: The moment at which the authority is asked for that.
    """

    files: DomainSettings
    failures: int = 0
    trouble: str = ""
    refused: frozenset[str] = frozenset()
    retry_at: float = UNKNOWN
    renew_at: float | None = None
    ask_at: float = UNKNOWN

    @property
    def name(self) -> str:
        """Of the domain."""
        return self.files.name

    @property
    def certificate(self) -> x509.Certificate | None:
        """What the authority has signed; None if there is nothing, or it has expired."""
        try:
            return load_identity(self.files.chain_file, self.files.key_file).certificate
        except ValueError:
            return None


class Renewals:
    """Has certificates signed, looks at them from time to time, and has them shown (SU-2).

    Args:
        domains: Those whose certificates an authority signs.
        names_of: All names of a domain, as certificates spell them; itself is the first.
        authority: The authority.
        show: Shows the certificate that is in a domain's file by now; raises ValueError if that
            cannot be used.
        clocks: The reactor's, and the time of day.
    """

    def __init__(
        self,
        domains: Sequence[DomainSettings],
        names_of: Callable[[str], Sequence[str]],
        authority: AuthorityThread,
        show: Callable[[str], None],
        clocks: Clocks,
    ) -> None:
        self.upkeeps = {domain.name: Upkeep(domain) for domain in domains}
        self._names_of = names_of
        self._authority = authority
        self._show = show
        self._clocks = clocks
        self._one_at_a_time = DeferredLock()
        self._looking = LoopingCall(self._look)

    def start(self) -> None:
        """Begin to look after certificates; what is missing is had at once."""
        self._looking.start(LOOK_S).addErrback(
            lambda failure: _log.failure(
                "the renewal of certificates failed and has stopped", failure
            )
        )

    def stop(self) -> None:
        """Stop looking; what is under way ends soon."""
        if self._looking.running:
            self._looking.stop()
        self._authority.stop()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.look())

    async def look(self) -> None:
        """Renew what is due."""
        for upkeep in self.upkeeps.values():
            await self._ask(upkeep)
            if self._clocks.seconds() >= upkeep.retry_at and self.is_due(upkeep):
                await self.renew(upkeep.name)

    def is_due(self, upkeep: Upkeep) -> bool:
        """Whether a certificate is missing, lacks a name, or should be renewed by now."""
        certificate = upkeep.certificate
        if certificate is None:
            return True
        named = {name.lower() for name in xmpp_addresses(certificate).dns_names}
        if not named.issuperset(self._names_of(upkeep.name)):
            return True
        return self._clocks.wall_clock() >= renewal_at(certificate, upkeep.renew_at)

    async def renew(self, domain: str) -> bool:
        """Have a new certificate for a domain, whether it is due or not; whether there is one.

        Raises:
            KeyError: No authority signs its certificate.
        """
        upkeep = self.upkeeps[domain]
        return await self._one_at_a_time.run(lambda: Deferred.fromCoroutine(self._renew(upkeep)))

    async def _renew(self, upkeep: Upkeep) -> bool:
        try:
            refused = await self._issue(upkeep, self._names_of(upkeep.name))
        except Stopped:
            return False
        except (NotIssued, OSError, ValueError) as error:
            self._failed(upkeep, str(error))
            return False
        upkeep.failures, upkeep.trouble, upkeep.refused = 0, "", frozenset(refused)
        upkeep.renew_at, upkeep.ask_at = None, UNKNOWN
        upkeep.retry_at = self._clocks.seconds() + RETRY_MAX_S if refused else UNKNOWN
        _log.info("the certificate of {domain} was renewed", domain=upkeep.name)
        return True

    async def _issue(self, upkeep: Upkeep, names: Sequence[str]) -> Sequence[str]:
        """Have a certificate for all names that the authority takes for ours; returns the others.

        One of a service that DNS does not know would cost the domain its own.
        """
        refused: Sequence[str] = ()
        try:
            pem = await self._authority.issue(names)
        except NotIssued as error:
            refused = [name for name in names if name in error.names]
            if not refused or names[0] in refused:
                raise
            for name in refused:
                _log.warn(
                    "the certificate of {domain} will not include {name}: {why}",
                    domain=upkeep.name, name=name, why=error.names[name],
                )  # fmt: skip
            others = [name for name in names if name not in refused]
            pem = await self._authority.issue(others)
        self._take(upkeep, pem)
        return refused

    def _take(self, upkeep: Upkeep, pem: bytes) -> None:
        """Keep a certificate where it is found after a restart, and show it."""
        path = upkeep.files.chain_file
        path.parent.mkdir(mode=0o700, exist_ok=True)
        issued = path.with_suffix(".issued")
        write_private(issued, pem)
        load_identity(issued, issued)
        issued.replace(path)
        self._show(upkeep.name)

    def _failed(self, upkeep: Upkeep, why: str) -> None:
        wait_s = min(RETRY_FIRST_S * 2**upkeep.failures, RETRY_MAX_S)
        upkeep.failures += 1
        upkeep.trouble = why
        upkeep.retry_at = self._clocks.seconds() + wait_s
        days, minutes = int(self.left_s(upkeep) // 86_400), round(wait_s / 60)
        if self.left_s(upkeep) < PRESSING_S:
            _log.error(
                "the certificate of {domain} could not be renewed (days left: {days}): {why}",
                domain=upkeep.name, why=why, days=days,
            )  # fmt: skip
        else:
            _log.warn(
                "the certificate of {domain} could not be renewed; trying again in {minutes} "
                "min: {why}",
                domain=upkeep.name, why=why, minutes=minutes,
            )  # fmt: skip

    def left_s(self, upkeep: Upkeep) -> float:
        """The seconds for which the certificate is still good; 0 if there is none."""
        certificate = upkeep.certificate
        if certificate is None:
            return 0.0
        return max(0.0, certificate.not_valid_after_utc.timestamp() - self._clocks.wall_clock())

    async def _ask(self, upkeep: Upkeep) -> None:
        """Ask the authority when it would have a certificate renewed; that it does not say costs
        nothing.
        """
        if upkeep.certificate is None or self._clocks.seconds() < upkeep.ask_at:
            return
        try:
            pem = upkeep.files.chain_file.read_bytes()
            said = await self._authority.suggestion(pem)
        except (NotIssued, OSError):
            upkeep.ask_at = self._clocks.seconds() + RETRY_MAX_S
            return
        upkeep.renew_at = said.renew_at
        ask_in_s = said.ask_again_at - self._clocks.wall_clock()
        upkeep.ask_at = self._clocks.seconds() + min(max(ask_in_s, RETRY_FIRST_S), RETRY_MAX_S)


def renewal_at(certificate: x509.Certificate, suggested: float | None) -> float:
    """The stamp at which a certificate is renewed.

    Args:
        certificate: The certificate; what differs between two of one age is drawn from it.
        suggested: The stamp that its authority suggests; None if it does not.
    """
    end = certificate.not_valid_after_utc.timestamp()
    life = end - certificate.not_valid_before_utc.timestamp()
    if suggested is not None:
        return min(suggested, end - life * LIFE_LEFT_AT_LEAST)
    lot = certificate.serial_number % 1_000 / 1_000
    return end - life * (LIFE_LEFT + JITTER * lot)
