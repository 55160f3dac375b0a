"""In which order the doors of a domain are tried."""

from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from xmppd.resolve.targets import MAX_TARGETS, ServiceRecord, Target, in_order


def service(
    host: str, priority: int = 0, weight: int = 0, *, direct_tls: bool = False
) -> ServiceRecord:
    """A record."""
    return ServiceRecord(priority, weight, Target(host, 5269, direct_tls))


class OrderTests(SynchronousTestCase):
    def test_priority(self) -> None:
        """The lower priority comes first, whichever kind of TLS it has (XEP-0368)."""
        services = [
            service("third", 20),
            service("first", 5, direct_tls=True),
            service("second", 10),
            service("last", 30, direct_tls=True),
        ]
        hosts = [target.host for target in in_order(services)]
        self.assertEqual(hosts, ["first", "second", "third", "last"])

    def test_weight(self) -> None:
        """Of one priority each comes first as often as its weight is large (RFC 2782)."""
        services = [service("large", 1, 60), service("small", 1, 20), service("none", 1, 0)]
        random = Random(2782)
        first = Counter(in_order(services, random)[0].host for _ in range(2_000))
        self.assertTrue(1_350 < first["large"] < 1_600, first)
        self.assertTrue(400 < first["small"] < 600, first)
        self.assertTrue(0 < first["none"] < 100, first)

    def test_weightless(self) -> None:
        """Of those without a weight each comes first as often as the others."""
        services = [service(host) for host in "abc"]
        random = Random(2782)
        first = Counter(in_order(services, random)[0].host for _ in range(900))
        self.assertTrue(all(200 < first[host] < 400 for host in "abc"), first)

    def test_all_are_tried(self) -> None:
        """No target is left out or tried twice."""
        services = [service(f"host{n}", n // 3, n) for n in range(9)]
        hosts = {target.host for target in in_order(services)}
        self.assertEqual(hosts, {f"host{n}" for n in range(9)})

    def test_bound(self) -> None:
        """A domain that names hundreds of hosts does not send us to all of them."""
        self.assertEqual(len(in_order([service(f"host{n}", n) for n in range(300)])), MAX_TARGETS)

    def test_same_target(self) -> None:
        """A door that is named many times is one door."""
        services = [service("a", n) for n in range(9)]
        self.assertEqual(in_order([*services, service("b", 9)])[0].host, "a")
        self.assertEqual(len(in_order([*services, service("b", 9)])), 2)

    def test_linear(self) -> None:
        """Each record is drawn for once, however many there are and whatever they weigh."""

        class Counting(Random):
            drawn = 0

            def expovariate(self, lambd: float = 1.0) -> float:
                self.drawn += 1
                return super().expovariate(lambd)

        for weight in (0, 1, 65_535):
            random = Counting(2782)
            in_order((service(f"host{n}", 0, weight) for n in range(1_980)), random)
            self.assertEqual(random.drawn, 1_980)

    def test_words(self) -> None:
        """A target is shown as people write it, an IPv6 address in brackets."""
        self.assertEqual(str(Target("example.org")), "example.org:5269 (STARTTLS)")
        self.assertEqual(str(Target("::1", 5270, direct_tls=True)), "[::1]:5270 (direct TLS)")
        self.assertEqual(str(service("example.org", 5, 10)), "5 10 example.org:5269 (STARTTLS)")
