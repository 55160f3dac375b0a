"""The certificates that are configured, as others judge them."""

from xmppd.acme.names import names_of
from xmppd.checkup.checked import Checked, Found, Sight
from xmppd.config.config import DomainSettings
from xmppd.net.certificate import Identity, ascii_domain, load_identity
from xmppd.stanza.phrases import counted

SOON_S = 21 * 86_400.0


async def look(sight: Sight) -> Found:
    """Look at the certificate of each domain, and at the names in it."""
    for domain in sight.config.domain:
        if not domain.certificate:
            yield Checked(
                "certs",
                "bad",
                domain.name,
                "no certificate is configured, so nobody can connect with TLS: set "
                "domain.certificate, or domain.acme = true",
            )
            continue
        try:
            identity = load_identity(domain.chain_file, domain.key_file)
        except ValueError as error:
            yield Checked("certs", "bad", domain.name, _unusable(domain, str(error)))
            continue
        for found in _judge(sight, domain, identity):
            yield found


def _unusable(domain: DomainSettings, why: str) -> str:
    if not domain.acme:
        return why
    return (
        f"{why}; start the server, then run xmppctl certificate list to see what the authority says"
    )


def _judge(sight: Sight, domain: DomainSettings, identity: Identity) -> list[Checked]:
    """What others say of it: the domain first, then what is below it."""
    found: list[Checked] = []
    chain = (identity.certificate, *identity.intermediates)
    proof, own = sight.trust.proof(chain), identity.certificate
    flaw = proof.flaw
    if flaw and own.issuer == own.subject:
        flaw = "the certificate is self-signed, so others do not trust it"
        remedy = "get a certificate from an authority, or set domain.acme = true"
    elif flaw and not identity.intermediates:
        flaw = "the certificate chain is incomplete"
        remedy = (
            f"put the missing certificates after it in {domain.chain_file} (certbot calls this "
            "fullchain.pem)"
        )
    else:
        remedy = "get a certificate that other machines trust"
    if flaw:
        found.append(Checked("certs", "bad", domain.name, f"{flaw}: {remedy}"))
    else:
        found += _names(sight, domain, identity)
    left_s = own.not_valid_after_utc.timestamp() - sight.wall_clock()
    if left_s < SOON_S and not domain.acme:
        found.append(
            Checked(
                "certs",
                "warn",
                domain.name,
                f"the certificate expires in {counted(round(left_s / 86_400), 'day')}: renew "
                "it, then run xmppctl reload",
            )
        )
    if not found:
        days = left_s / 86_400
        found.append(
            Checked(
                "certs",
                "ok",
                domain.name,
                f"the certificate is trusted, and valid for {counted(round(days), 'day')}",
            )
        )
    return found


def _names(sight: Sight, domain: DomainSettings, identity: Identity) -> list[Checked]:
    proof = sight.trust.proof((identity.certificate, *identity.intermediates))
    others = {*(each.name for each in sight.config.component), sight.config.web.url_host} - {""}
    wanted = names_of(domain.name, sight.domains, others, sight.config.acme.leave_out)
    missing = [name for name in wanted if proof.flaw_for(name)]
    if ascii_domain(domain.name) in missing:
        says = (
            f"the certificate is for other names: get one for {domain.name}, which clients expect"
        )
        return [Checked("certs", "bad", domain.name, says)]
    return [
        Checked(
            "certs",
            "warn",
            name,
            f"the certificate of {domain.name} does not include this name: add it",
        )
        for name in missing
    ]
