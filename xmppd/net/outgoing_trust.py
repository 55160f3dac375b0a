"""Whose signatures count for a server that something of ours connects to by Twisted's endpoints."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import ssl
from twisted.internet._sslverify import IOpenSSLTrustRoot as TrustRoot  # ssl has no name for it

from xmppd.net.certificate import load_authorities


def trust_root(authorities: str) -> TrustRoot | None:
    """The authorities of a file; None, which is those that this machine trusts, if it is empty.

    Raises:
        ValueError: One sentence: what is wrong with the file, what to do.
    """
    if not authorities:
        return None
    known = [
        ssl.Certificate.loadPEM(each.public_bytes(Encoding.PEM))
        for each in load_authorities(Path(authorities))
    ]
    trusted: TrustRoot = ssl.trustRootFromCertificates(known)
    return trusted


__all__ = ["TrustRoot", "trust_root"]
