"""Clients of other people at three nodes, each at the next one: what they see is one service."""

from tests.integration import test_components, test_walk, test_xmppjs


class SlixmppAtNodesTests(test_walk.SQLiteTests):
    is_spread = True


class JavaScriptAtNodesTests(test_xmppjs.JavaScriptTests):
    is_spread = True


class WokkelAtANodeTests(test_components.WokkelTests):
    """The component is connected to one of them; each has another board inside."""

    is_spread = True
    boards = ("outside.verona.lit",)
