"""A visit at a port from outside: TCP, TLS at once or after STARTTLS, and what is shown. It waits,
so it is made in a thread.
"""

import socket
import ssl
from dataclasses import dataclass

from cryptography import x509

from xmppd.net.certificate import ascii_domain
from xmppd.stanza.text import escape

PATIENCE_S = 5.0
MAX_BYTES = 65_536
_TLS = "urn:ietf:params:xml:ns:xmpp-tls"


class Closed(Exception):
    """An error: nobody answers as expected; the text says what happened."""


@dataclass(frozen=True)
class Welcome:
    """What a port has shown.

    Attributes:
        certificate: Of the server.
        version: Of TLS, such as ``TLSv1.3``.
    """

    certificate: x509.Certificate
    version: str


def knock(address: str, port: int, domain: str, kind: str, *, direct_tls: bool) -> Welcome:
    """Come in as a client, or as another server, as far as TLS.

    Args:
        address: An IP address.
        port: Of TCP.
        domain: Whom to ask for.
        kind: ``client`` or ``server``.
        direct_tls: Whether TLS comes first.

    Raises:
        Closed: That is not possible.
    """
    try:
        with socket.create_connection((address, port), PATIENCE_S) as plain:
            if not direct_tls:
                _start_tls(plain, domain, kind)
            with _context(kind, direct_tls=direct_tls).wrap_socket(
                plain, server_hostname=ascii_domain(domain)
            ) as secure:
                shown = secure.getpeercert(binary_form=True)
                assert shown, "every server shows one"
                return Welcome(x509.load_der_x509_certificate(shown), secure.version() or "")
    except TimeoutError as error:
        raise Closed(f"no answer within {PATIENCE_S:g} s") from error
    except ssl.SSLError as error:
        raise Closed(f"TLS fails ({error.reason or 'no reason given'})") from error
    except OSError as error:
        raise Closed(error.strerror or "the connection was lost") from error


def unverified() -> ssl.SSLContext:
    """A context for looking at whatever certificate there is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(kind: str, *, direct_tls: bool) -> ssl.SSLContext:
    context = unverified()
    if direct_tls:
        context.set_alpn_protocols([f"xmpp-{kind}"])
    return context


def _start_tls(plain: socket.socket, domain: str, kind: str) -> None:
    header = (
        f"<?xml version='1.0'?><stream:stream xmlns='jabber:{kind}' to='{escape(domain)}' "
        "version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    _say(plain, header, "</stream:features>", needed="<starttls")
    _say(plain, f"<starttls xmlns='{_TLS}'/>", ">", needed="<proceed")


def _say(plain: socket.socket, text: str, end: str, *, needed: str) -> None:
    plain.sendall(text.encode())
    answer = b""
    while end.encode() not in answer or answer.rstrip().endswith(b"?>"):
        data = plain.recv(4_096)
        answer += data
        if not data or len(answer) > MAX_BYTES:
            break
    if needed.encode() not in answer:
        raise Closed("whatever answers there does not offer STARTTLS")
