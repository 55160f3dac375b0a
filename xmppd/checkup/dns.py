"""What DNS says of the ways to a server: its SRV records, and the hosts that they name."""

from dataclasses import dataclass

from xmppd.checkup.checked import Checked, Found, Sight, port_of
from xmppd.net.certificate import ascii_domain
from xmppd.resolve.name_service import Services
from xmppd.resolve.public_address import is_public
from xmppd.resolve.question import LookupFailed, NoAnswer, NoSuchName


@dataclass(frozen=True)
class ServiceWay:
    """One of the four ways to a domain.

    Attributes:
        service: Its name in DNS.
        kind: Of peers that take it.
        tls: How they speak TLS there.
        port: That is taken if DNS names none; 0 if it is not looked for then.
    """

    service: str
    kind: str
    tls: str
    port: int


WAYS = (
    ServiceWay("_xmpp-client._tcp", "client", "starttls", 5222),
    ServiceWay("_xmpps-client._tcp", "client", "direct", 0),
    ServiceWay("_xmpp-server._tcp", "server", "starttls", 5269),
    ServiceWay("_xmpps-server._tcp", "server", "direct", 0),
)


async def look(sight: Sight) -> Found:
    """Look at all records of all domains."""
    for domain in sight.domains:
        for way in WAYS:
            async for found in _look_at(sight, domain, way):
                yield found


async def _look_at(sight: Sight, domain: str, way: ServiceWay) -> Found:
    name = f"{way.service}.{ascii_domain(domain)}"
    ports = [port_of(each) for each in sight.listeners(way.kind, way.tls)]
    try:
        services = await sight.names.services(name, direct_tls=way.tls == "direct")
    except NoSuchName:
        async for found in _without_record(sight, domain, way, ports):
            yield found
        return
    except NoAnswer as error:
        yield _bad(name, f"{error}: check that this machine's name servers answer")
        return
    if services.refused and ports:
        yield _bad(
            name,
            "the record says that the domain does not offer this service (its target is a dot): "
            f"name a host and port {ports[0]}, or remove the record",
        )
    elif services.refused:
        yield _ok(name, "this service is off, as the record says")
    elif not ports:
        yield _bad(
            name,
            "the record leads to a service that is not configured: add a listener of kind "
            f'"{way.kind}" with tls = "{way.tls}", or remove the record',
        )
    else:
        async for found in _targets(sight, name, services, ports):
            yield found


async def _without_record(sight: Sight, domain: str, way: ServiceWay, ports: list[int]) -> Found:
    if not ports:
        return
    name, host = f"{way.service}.{ascii_domain(domain)}", ascii_domain(domain)
    record = f"{name}. SRV 0 5 {ports[0]} {host}."
    if way.port not in ports:
        # Nobody looks for direct TLS without a record, and for others only at the usual port.
        why = (
            f"nobody can find port {ports[0]}"
            if way.port
            else f"{way.kind}s cannot find direct TLS"
        )
        result = _bad if way.port else _warn
        yield result(name, f"the record is missing, so {why}: add one such as {record}")
        return
    async for found in _host(sight, name, host):
        if found.result == "ok":
            yield _ok(name, f"the record is missing; others try port {way.port} of {host} instead")
        else:
            yield _bad(
                name,
                (
                    f"the record is missing, and {host} has no address: add a record such as "
                    f"{record}"
                ),
            )


async def _targets(sight: Sight, name: str, services: Services, ports: list[int]) -> Found:
    for service in services.offered:
        target = service.target
        if target.port not in ports:
            yield _warn(
                name,
                f"the record names port {target.port}, where no listener is configured: name port "
                f"{ports[0]}, unless something passes that port on",
            )
        if await sight.names.alias(target.host):
            yield _bad(
                name,
                f"the record names {target.host}, an alias (CNAME) that some do not follow: name "
                "the host that it stands for",
            )
        async for found in _host(sight, name, target.host):
            yield found


async def _host(sight: Sight, name: str, host: str) -> Found:
    try:
        addresses = await sight.names.addresses(host)
    except LookupFailed as error:
        yield _bad(name, f"{host} has no address ({error}): add an A or AAAA record for it")
        return
    private = [address for address in addresses if not is_public(address)]
    if private:
        yield _warn(
            name,
            f"{host} has the address {private[0]}, which is not public: only machines in the "
            "same network can reach it",
        )
    else:
        yield _ok(name, f"{host} has the address {', '.join(addresses)}")


def _ok(about: str, says: str) -> Checked:
    return Checked("dns", "ok", about, says)


def _warn(about: str, says: str) -> Checked:
    return Checked("dns", "warn", about, says)


def _bad(about: str, says: str) -> Checked:
    return Checked("dns", "bad", about, says)
