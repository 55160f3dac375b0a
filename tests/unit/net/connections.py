"""Many clients in a process of their own: ``python connections.py PORT COUNT``.

All connect, then each says its number and must hear it back; then all leave.
"""

import resource
import socket
import sys


def main(port: int, count: int) -> None:
    """Be that many clients."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    clients = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(count)]
    for number, client in enumerate(clients):
        client.sendall(b"%05d" % number)
    heard = [client.recv(5) for client in clients]
    assert heard == [b"%05d" % number for number in range(count)], "misheard"
    for client in clients:
        client.close()
    sys.stdout.write("all heard\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
