"""What the kernel and OpenSSL do that our hub is built around. Should one of these fail one day,
the code that avoids the trap may go.
"""

import errno
import os
import select
import socket

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.net.peer import reset

IN = select.EPOLLIN
FAR_NUMBER = 900


class EPollTrapTests(SynchronousTestCase):
    """select.epoll."""

    def setUp(self) -> None:
        self.epoll = select.epoll()
        self.addCleanup(self.epoll.close)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a TCP connection."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        return theirs, ours

    def test_hang_up_cannot_be_masked(self) -> None:
        """A reset is reported again and again though nothing was asked for: hence Hub.park."""
        theirs, ours = self.pair()
        self.epoll.register(ours, 0)
        reset(theirs)
        for _ in range(3):
            self.assertEqual(len(self.epoll.poll(10)), 1)

    def test_fin_is_quiet_unless_asked_for(self) -> None:
        """A half-close is silent if nothing was asked for; RDHUP would report it for ever."""
        theirs, ours = self.pair()
        self.epoll.register(ours, 0)
        theirs.shutdown(socket.SHUT_WR)
        self.assertEqual(self.epoll.poll(0), [])
        self.epoll.modify(ours, select.EPOLLRDHUP)
        for _ in range(3):
            self.assertEqual(len(self.epoll.poll(10)), 1)

    def test_copies_stay_in_the_epoll(self) -> None:
        """A closed descriptor with a copy is still reported, and cannot be removed any more."""
        theirs, ours = self.pair()
        self.epoll.register(ours, IN)
        number, copy = ours.fileno(), os.dup(ours.fileno())
        ours.close()
        theirs.send(b"x")
        self.assertEqual(self.epoll.poll(10), [(number, IN)])
        with self.assertRaises(OSError) as caught:
            self.epoll.unregister(number)
        self.assertEqual(caught.exception.errno, errno.EBADF)
        os.close(copy)

    def test_numbers_are_reused_within_a_batch(self) -> None:
        """An event names a number, and the number may be another socket's when it is served."""
        theirs, ours = self.pair()
        self.epoll.register(ours, IN)
        reset(theirs)
        ((number, _),) = self.epoll.poll(10)
        ours.close()
        newcomers = [socket.socket() for _ in range(3)]
        self.assertIn(number, [newcomer.fileno() for newcomer in newcomers])
        for newcomer in newcomers:
            newcomer.close()

    def test_outer_knows_nothing_of_inner_reads(self) -> None:
        """After the outer epoll has said "ready" the inner one may be empty: poll(0) copes."""
        theirs, ours = self.pair()
        self.epoll.register(ours, IN)
        with select.epoll() as outer:
            outer.register(self.epoll, IN)
            theirs.send(b"x")
            self.assertEqual(len(outer.poll(10)), 1)
            ours.recv(1)
            self.assertEqual(self.epoll.poll(0), [])
            self.assertEqual(outer.poll(0), [])

    def test_only_the_child_has_the_socket(self) -> None:
        """An epoll shared over fork() reports sockets the parent does not have: hence Hub's pid."""
        ready, tell_ready = os.pipe()
        done, tell_done = os.pipe()
        child = os.fork()
        if child == 0:
            theirs, ours = socket.socketpair()
            self.epoll.register(os.dup2(ours.fileno(), FAR_NUMBER), IN)
            theirs.send(b"x")
            os.write(tell_ready, b".")
            os.read(done, 1)
            os._exit(0)
        os.read(ready, 1)
        self.assertEqual(self.epoll.poll(10), [(FAR_NUMBER, IN)])
        with self.assertRaises(OSError):
            os.fstat(FAR_NUMBER)
        os.write(tell_done, b".")
        os.waitpid(child, 0)
        for number in (ready, tell_ready, done, tell_done):
            os.close(number)


class OpenSSLTrapTests(SynchronousTestCase):
    """pyOpenSSL."""

    def test_used_contexts_cannot_be_changed(self) -> None:
        """A context is complete before its first connection: a reload builds new ones."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        SSL.Connection(context, None)
        with self.assertRaises(ValueError):
            context.set_options(SSL.OP_NO_TICKET)
