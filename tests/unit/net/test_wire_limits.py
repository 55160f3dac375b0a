"""The limits of one connection, by what is configured for its kind."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import ComponentStreamSettings, Config, S2SSettings, StreamSettings
from xmppd.net.wire_limits import WRAPPED_DEPTH, wire_limits


class WireLimitsTests(SynchronousTestCase):
    def test_clients(self) -> None:
        """A client is limited by ``[stream]``, and more so before it has authenticated."""
        limits = wire_limits(StreamSettings())
        self.assertEqual(limits.unauthenticated.max_stanza_bytes, 10_240)
        self.assertEqual(limits.authenticated.max_stanza_bytes, 262_144)
        self.assertEqual((limits.stanzas_per_s, limits.bytes_burst), (200.0, 1_048_576))

    def test_those_that_pass_on(self) -> None:
        """A peer that passes on what others say may say more than they, once it is known."""
        own, passed = wire_limits(StreamSettings()), wire_limits(StreamSettings(), passes_on=True)
        self.assertEqual(passed.unauthenticated, own.unauthenticated)
        self.assertEqual(
            (passed.authenticated.max_stanza_bytes, passed.authenticated.max_depth),
            (2 * own.authenticated.max_stanza_bytes, own.authenticated.max_depth + WRAPPED_DEPTH),
        )

    def test_in_the_place_of_stream(self) -> None:
        """``[s2s]`` and ``[component_stream]`` come before ``[stream]``, as far as they go."""
        config = Config(
            stream=StreamSettings(idle_timeout_s=1.0, max_depth=9, stanzas_per_s=1.0),
            s2s=S2SSettings(idle_timeout_s=2.0, stanzas_per_s=2.0),
            component_stream=ComponentStreamSettings(stanzas_per_s=2.5),
        )
        client, server = config.streams("client"), config.streams("server")
        component = config.streams("component")
        self.assertEqual(client, config.stream)
        self.assertEqual(
            (server.idle_timeout_s, server.stanzas_per_s, server.max_depth), (2.0, 2.0, 9)
        )
        self.assertEqual(
            (component.idle_timeout_s, component.stanzas_per_s, component.stanzas_burst),
            (1.0, 2.5, 3),
        )
