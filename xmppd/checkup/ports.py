"""The ports of clients and servers, reached by the names that others know."""

from functools import partial

from xmppd.checkup.checked import Checked, Found, Sight, port_of
from xmppd.checkup.dns import WAYS, ServiceWay
from xmppd.checkup.knock import Closed, Welcome, knock
from xmppd.net.certificate import ascii_domain, xmpp_addresses
from xmppd.resolve.question import LookupFailed
from xmppd.resolve.targets import Target


async def look(sight: Sight) -> Found:
    """Come in by each way to each domain."""
    for domain in sight.domains:
        for way in WAYS:
            listeners = sight.listeners(way.kind, way.tls)
            if listeners:
                usual = Target(ascii_domain(domain), way.port or port_of(listeners[0]))
                for target in await _targets(sight, domain, way, usual):
                    async for found in _visit(sight, domain, way, target):
                        yield found


async def _targets(sight: Sight, domain: str, way: ServiceWay, usual: Target) -> list[Target]:
    """Where DNS leads, or where everybody goes without it."""
    try:
        services = await sight.names.services(
            f"{way.service}.{ascii_domain(domain)}", direct_tls=way.tls == "direct"
        )
    except LookupFailed:
        return [usual]
    return [service.target for service in services.offered]


async def _visit(sight: Sight, domain: str, way: ServiceWay, target: Target) -> Found:
    about = f"{target.host}:{target.port}"
    try:
        addresses = await sight.names.addresses(target.host)
    except LookupFailed as error:
        yield Checked("ports", "bad", about, f"{target.host} has no address ({error})")
        return
    for address in addresses:
        come_in = partial(knock, direct_tls=way.tls == "direct")
        try:
            shown = await sight.run_in_thread(come_in, address, target.port, domain, way.kind)
        except Closed as error:
            yield Checked(
                "ports",
                "bad",
                about,
                f"{way.kind}s cannot reach {domain} at {address} ({error}): "
                f"{_remedy(sight, way, target.port)}",
            )
        else:
            assert isinstance(shown, Welcome)
            yield _judge(sight, domain, way, about, shown)


def _remedy(sight: Sight, way: ServiceWay, port: int) -> str:
    """What to do about a port that cannot be reached: to use another, if none listens there."""
    ports = [port_of(each) for each in sight.listeners(way.kind, way.tls)]
    if port in ports or 0 in ports:
        return "start the server, and let the firewall and the router pass this port on to it"
    return (
        f"port {port} has no listener: add one, or have the router pass this port on to port "
        f"{ports[0]}, or name that port in an SRV record"
    )


def _judge(sight: Sight, domain: str, way: ServiceWay, about: str, shown: Welcome) -> Checked:
    names = {name.lower() for name in xmpp_addresses(shown.certificate).dns_names}
    host = ascii_domain(domain)
    if not {host, f"*.{host.partition('.')[2]}"} & names:
        return Checked(
            "ports",
            "bad",
            about,
            f"{way.kind}s of {domain} get a certificate for "
            f"{', '.join(sorted(names)) or 'nobody'}: check that the port leads to this server, "
            "and run xmppctl reload if its certificate has changed",
        )
    return Checked("ports", "ok", about, f"{way.kind}s reach {domain} with {shown.version}")
