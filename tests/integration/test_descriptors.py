"""Clients take all files that may be open, but for those that are kept for others."""

import contextlib  # trial takes a "suppress" of the module for its own
import socket

from tests.integration.processes import HEADER, ProcessCase, twistd

LIMIT = 160


class ExhaustedTests(ProcessCase):
    """A server that may open few files, by either kind of endpoint."""

    def fill(self, port: int, count: int) -> list[socket.socket]:
        """So many clients that say something; those that are let in."""
        let_in = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                client = socket.create_connection(("127.0.0.1", port), 20)
                self.addCleanup(client.close)
                client.sendall(HEADER)
                if client.recv(1_000):
                    let_in.append(client)
        return let_in

    def test_kept(self) -> None:
        """The administrator and the database still have theirs; later all is well again."""
        for endpoint in ("epoll:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1"):
            with self.subTest(endpoint):
                self.configure(endpoint=endpoint)
                command = twistd("-n", "--pidfile=", "xmppd", "--config", self.config)
                limited = f'ulimit -n {LIMIT}; exec "$@"'
                process = self.start("/bin/sh", "-c", limited, "sh", *command)
                port = self.ports()[0]
                connections = self.fill(port, LIMIT)
                self.assertGreater(len(connections), LIMIT // 2)
                self.assertLess(len(connections), LIMIT - LIMIT // 4)
                name = endpoint.partition(":")[0]
                self.ctl("user", "add", f"{name}@localhost", "--stdin", input="secret\n")
                self.assertIn(f"{name}@localhost", self.ctl("user", "list"))
                self.ctl("reload")
                text = self.text()
                self.assertEqual(text.count("because the limit of open files is 160"), 1, text)
                self.assertNotIn("Traceback", text)
                for client in connections:
                    client.close()
                self.wait_for(lambda port=port: len(self.fill(port, 1)) == 1, process)
                self.wait_for(lambda: "are below the limit of open files again" in self.text())
                self.end(process)
