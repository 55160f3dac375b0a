"""TLS in the hub: OpenSSL works on the descriptor itself, no byte is copied through memory BIOs."""

from contextlib import suppress

from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    INegotiated,
    IOpenSSLContextFactory,
    ITLSTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.epoll_connection import IN, OUT, EPollConnection
from xmppd.stanza.phrases import counted

RECORD_BYTES = 16_384
"""A record has no more, and OpenSSL reads one at a time: nothing decrypted is left behind a read of
so many."""

WRITE_BYTES = 262_144
"""The bytes that one connection may write in one turn."""


class ClearTextUnsent(Exception):
    """An error: TLS was to start while bytes in the clear were still waiting to be sent."""


def _why(error: SSL.Error) -> Exception:
    """The reason why TLS ended; as in Twisted, an end without close_notify is a lost connection."""
    return ConnectionLost(str(error)) if isinstance(error, SSL.SysCallError) else error


@implementer(ITLSTransport)
class ClearConnection(EPollConnection):
    """A connection in the clear that may become a :class:`TLSConnection`."""

    __slots__ = ("_handshaking", "_paused", "_tls")

    _tls: SSL.Connection
    _handshaking: bool
    _paused: bool

    def startTLS(  # type: ignore[override]  # We make the connection; a context is enough.
        self, contextFactory: IOpenSSLContextFactory, normal: bool = True
    ) -> None:
        """Send queued bytes, then speak TLS only. The caller has to make sure that no byte read in
        the clear is used afterwards (:rfc:`6120#section-5.4.3.3`).

        Args:
            contextFactory: Has ``getContext``.
            normal: We are the server of the handshake.

        Raises:
            ClearTextUnsent: The kernel does not take the queued bytes.
        """
        self._send_joined()
        if self._out:
            raise ClearTextUnsent(counted(len(self._out), "byte"))
        if not self.connected:
            return
        self._tls = SSL.Connection(contextFactory.getContext(), self._sock)
        self._tls.set_options(SSL.OP_NO_RENEGOTIATION)  # So that a write never waits for a read.
        if normal:
            self._tls.set_accept_state()
        else:
            self._tls.set_connect_state()
        self._handshaking = True
        self._paused = not self.mask & IN
        self.__class__ = TLSConnection
        self._watch(IN)
        if not normal:  # the client speaks first
            self.hub.serve_later(self, IN)


@implementer(INegotiated)
class TLSConnection(ClearConnection):
    """A connection under TLS.

    The peer's close_notify is not waited for, and ``pauseProducing`` also holds back what OpenSSL
    has decrypted already; Twisted's transport differs in both.
    """

    in_flight_bytes = RECORD_BYTES

    __slots__ = ()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """The protocol that ALPN agreed on, once the handshake is done (:rfc:`7301`)."""
        return self._tls.get_alpn_proto_negotiated() or None

    def startTLS(self, contextFactory: IOpenSSLContextFactory, normal: bool = True) -> None:
        raise RuntimeError("TLS is on already")

    def getHandle(self) -> object:
        """OpenSSL's connection while it lives, then the closed socket."""
        return getattr(self, "_tls", self._sock)

    def getPeerCertificate(self) -> X509 | None:
        """The peer's certificate, as Twisted's TLS transports give it."""
        return self._tls.get_peer_certificate()

    def exportKeyingMaterial(
        self, label: bytes, length: int, context: bytes | None = None
    ) -> bytes:
        """Key material that only the two ends of this connection know (:rfc:`5705`)."""
        return self._tls.export_keying_material(label, length, context)

    # Handshake.

    def _shake_hands(self) -> None:
        """Make one step of the handshake."""
        if not self.hub.handshake_steps_left:
            self.hub.serve_later(self, self.mask)
            return
        self.hub.handshake_steps_left -= 1
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._watch(IN)
        except SSL.WantWriteError:
            self._watch(OUT)
        except SSL.Error as error:
            self.close(Failure(_why(error)))
        else:
            self._hands_shaken()

    def _hands_shaken(self) -> None:
        self._handshaking = False
        self.hub.looks_again = True  # The first record has come along, perhaps.
        reads = not self._paused and not self.disconnecting
        self._watch((IN if reads else 0) | (OUT if self._out else 0))
        super()._writable()  # Bytes that were written meanwhile, and a close that waits for them.
        listener = IHandshakeListener(self.protocol, None) if self.connected else None
        if listener is not None:
            listener.handshakeCompleted()

    # Reading.

    def _readable(self) -> None:
        if self._handshaking:
            self._shake_hands()
            return
        data = self._decrypt()
        if data is not None:
            self.hub.looks_again = True  # For the next record, whoever may have one.
            self.protocol.dataReceived(data)

    def _decrypt(self) -> bytes | None:
        try:
            return self._tls.recv(RECORD_BYTES)
        except SSL.WantReadError:
            pass
        except SSL.WantWriteError:
            self._watch(self.mask | OUT)
        except SSL.ZeroReturnError:
            self._end_of_input()
        except SSL.Error as error:
            self.close(self._reason or Failure(_why(error)))
        return None

    # Writing.

    def _may_push(self) -> bool:
        return not self._handshaking and super()._may_push()

    def _watch_output(self) -> None:
        if not self._handshaking:
            super()._watch_output()

    def _push(self, data: bytes | bytearray) -> int:
        sent = 0
        try:
            sent = self._tls.send(data)  # a record, which is all of most writes
            if sent < len(data):
                with memoryview(data) as view:
                    while sent < len(data) and sent < WRITE_BYTES:
                        sent += self._tls.send(view[sent:])
        except SSL.WantWriteError:
            pass
        except SSL.Error as error:
            return self._broken(_why(error))
        return sent

    def _writable(self) -> None:
        if not self._handshaking:
            super()._writable()
        if self._handshaking or self.mask & IN:
            self._readable()  # It may be the reading side that wanted to write.

    def _drained(self) -> None:
        if not self._handshaking:
            super()._drained()

    # Closing and pausing.

    def loseConnection(self) -> None:
        if not self._handshaking:
            super().loseConnection()
        elif not self._out and not self._joined:
            self.abortConnection()
        elif not self.disconnecting:
            self._start_closing()
            self._mute = True

    def closed(self) -> None:
        del self._tls  # OpenSSL knows the descriptor by number: never use it after the close.
        super().closed()

    def _start_closing(self) -> None:
        super()._start_closing()
        if self._handshaking:
            self._watch(self.mask | IN)  # Queued bytes leave after the handshake.

    def _say_goodbye(self) -> None:
        with suppress(SSL.Error):
            self._tls.shutdown()
        super()._say_goodbye()  # Not every peer that speaks TLS takes note of close_notify.

    def pauseProducing(self) -> None:
        self._paused = True
        if not self._handshaking:
            super().pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        if not self._handshaking:
            super().resumeProducing()
