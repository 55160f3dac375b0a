"""What we ask of other servers, and what some of them get instead."""

from dataclasses import dataclass

from xmppd.config.config import RemoteDomainSettings, S2SSettings


@dataclass(frozen=True)
class Policy:
    """What holds for one remote domain.

    Attributes:
        block: Nothing goes there, and nothing comes from there.
        require_tls: Nothing is said in the clear.
        require_valid_certificate: It has to show a certificate that proves its name.
        allow_dialback: Without such a certificate, what its DNS says will do.
        stanzas_per_s: How many it may send for long.
    """

    block: bool
    require_tls: bool
    require_valid_certificate: bool
    allow_dialback: bool
    stanzas_per_s: float

    @property
    def believes_dns(self) -> bool:
        """Whether who answers at a domain's door may speak for it, whatever it shows."""
        return self.allow_dialback and not self.require_valid_certificate


class PolicyTable:
    """The policy for each domain: what is said of it alone, and the rest as for all."""

    def __init__(self, settings: S2SSettings) -> None:
        self.use(settings)

    def use(self, settings: S2SSettings) -> None:
        """Go by other settings from now on."""
        self._usual = _policy(settings, RemoteDomainSettings(name=""))
        self._special = {remote.name: _policy(settings, remote) for remote in settings.domain}

    def of(self, domain: str) -> Policy:
        """What holds for this domain."""
        return self._special.get(domain, self._usual)


def _policy(settings: S2SSettings, remote: RemoteDomainSettings) -> Policy:
    return Policy(
        remote.block,
        settings.require_tls,
        _first(remote.require_valid_certificate, settings.require_valid_certificate),
        _first(remote.allow_dialback, settings.allow_dialback),
        settings.stanzas_per_s if remote.stanzas_per_s is None else remote.stanzas_per_s,
    )


def _first(special: bool | None, usual: bool) -> bool:
    return usual if special is None else special
