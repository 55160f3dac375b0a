"""A pytest plugin for people who write XMPP clients: the fixture ``xmpp_server``.

::

    def test_login(xmpp_server):
        xmpp_server.add_user("romeo", "a rose by any other name")
        ...  # connect to xmpp_server.host, xmpp_server.port
"""

from collections.abc import Iterator

import pytest

from xmppd.testing.process import ServerProcess


@pytest.fixture
def xmpp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """An XMPP server of the test's own, in a process of its own, on ports that were free."""
    with ServerProcess(tmp_path_factory.mktemp("xmppd")) as server:
        yield server
