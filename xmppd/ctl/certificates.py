"""Commands on the certificates that this server shows."""

from dataclasses import dataclass

from xmppd.acme.renewals import Renewals, Upkeep, renewal_at
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import DomainName
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.running import Running
from xmppd.ctl.times import iso
from xmppd.net.certificate import xmpp_addresses
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import Condition


class CertificateRow(Row, frozen=True):
    """The certificate of a domain."""

    domain: str
    names: list[str]
    ends: str | None
    by: str
    renewed_from: str | None
    trouble: str


@dataclass(frozen=True)
class CertificateCommands:
    """The commands that show certificates, and have them renewed."""

    server: XMPPServer
    running: Running

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List them, in the order of the domains."""
        tls, renewals = self.server.tls, self.running.renewals
        upkeeps = {} if renewals is None else renewals.upkeeps
        for domain in self.server.domains:
            found = None if tls is None else tls.identity(domain)
            if found is None:
                continue
            certificate, upkeep = found[1].certificate, upkeeps.get(domain)
            yield CertificateRow(
                domain=domain,
                names=list(xmpp_addresses(certificate).dns_names),
                ends=iso(certificate.not_valid_after_utc.timestamp()),
                by=_by(upkeep),
                renewed_from=None if upkeep is None else _renewed_from(upkeep),
                trouble="" if upkeep is None else upkeep.trouble,
            )

    async def renew(self, context: CommandContext) -> Replies:
        """Renew one, or all that an authority signs."""
        domain = context.arguments.text("domain")
        renewals = self._renewals(domain)
        for each in [domain] if domain else renewals.upkeeps:
            if not await renewals.renew(each):
                trouble = renewals.upkeeps[each].trouble or "the server is stopping"
                raise Refused(f"the certificate of {each} was not renewed: {trouble}")
            yield f"the certificate of {each} was renewed"

    def _renewals(self, domain: str) -> Renewals:
        renewals = self.running.renewals
        if renewals is None or (domain and domain not in renewals.upkeeps):
            raise Refused(
                f"ACME is off for {domain or 'every domain'}; set domain.acme = true, or renew "
                "the certificate files yourself and run xmppctl reload",
                Condition.ITEM_NOT_FOUND,
            )
        return renewals


def _by(upkeep: Upkeep | None) -> str:
    if upkeep is None:
        return "files"
    return (
        "self-signed, until an authority has signed one" if upkeep.certificate is None else "acme"
    )


def _renewed_from(upkeep: Upkeep) -> str | None:
    certificate = upkeep.certificate
    return None if certificate is None else iso(renewal_at(certificate, upkeep.renew_at))


COMMANDS: tuple[Declared[CertificateCommands], ...] = (
    Declared(
        Description(
            "certificate list",
            "list the certificates in use, and the state of their renewal",
            asks="all",
        ),
        CertificateCommands.list_all,
        (CertificateRow,),
    ),
    Declared(
        Description(
            "certificate renew",
            "renew certificates with the authority of [acme]",
            (Argument("--domain", "only the certificate of this domain", DomainName()),),
            effect="changes",
        ),
        CertificateCommands.renew,
    ),
)
