"""XEP-0478 from the wire."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_caps import stream_features
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd_plugins.stream_limits import NS


def limits(client: Client) -> dict[str, str | None]:
    """The limits that a stream announces."""
    found = stream_features(client).find(f"{{{NS}}}limits")
    assert found is not None
    return {limit.tag.rpartition("}")[2]: limit.text for limit in found}


class StreamLimitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        stream = {
            "max_preauth_stanza_bytes": 5_000,
            "max_stanza_bytes": 100_000,
            "negotiation_timeout_s": 20.0,
            "idle_timeout_s": 90.5,
        }
        config = house_config("montague.lit", stream=stream)
        self.house = House(config=config, plugins=("stream_limits",), romeo={})

    def test_before_login(self) -> None:
        """A stranger is told the tight limits."""
        self.assertEqual(
            limits(self.house.unauthenticated()), {"max-bytes": "5000", "idle-seconds": "20"}
        )

    def test_after_login(self) -> None:
        """Whoever has logged in is told the wide ones."""
        self.assertEqual(
            limits(self.house.logged_in("romeo")), {"max-bytes": "100000", "idle-seconds": "90"}
        )

    def test_limits_hold(self) -> None:
        """A stanza beyond what was announced ends the stream, one below does not."""
        (romeo,) = self.house.connect("romeo")
        romeo.send(f"<message><body>{'x' * 99_000}</body></message>")
        self.assertFalse(romeo.closed)
        romeo.send(f"<message><body>{'x' * 100_000}</body></message>")
        self.assertTrue(romeo.closed)
