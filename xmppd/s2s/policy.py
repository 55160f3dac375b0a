"""Policy: what is required of other servers, for all of them or for one."""

from dataclasses import dataclass

from xmppd.config.config import RemoteDomainSettings, S2SSettings


@dataclass(frozen=True)
class Policy:
    """The policy for one remote domain.

    Attributes:
        block: Whether no stanza goes there or comes from there.
        require_tls: Whether TLS is required.
        require_valid_certificate: Whether its certificate has to prove its name.
        allow_dialback: Whether dialback is enough without such a certificate.
        stanzas_per_s: The rate that it may keep up.
    """

    block: bool
    require_tls: bool
    require_valid_certificate: bool
    allow_dialback: bool
    stanzas_per_s: float

    @property
    def believes_dns(self) -> bool:
        """Whether the server that DNS names may speak for its domain, whatever its certificate."""
        return self.allow_dialback and not self.require_valid_certificate


class PolicyTable:
    """The policy for each domain: its own settings, and the rest as for all domains."""

    def __init__(self, settings: S2SSettings) -> None:
        self.use(settings)

    def use(self, settings: S2SSettings) -> None:
        """Take another configuration."""
        self._usual = _policy(settings, RemoteDomainSettings(name=""))
        self._special = {remote.name: _policy(settings, remote) for remote in settings.domain}

    def of(self, domain: str) -> Policy:
        """The policy for this domain."""
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
