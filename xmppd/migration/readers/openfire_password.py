"""The passwords of Openfire, which it encrypts with a key that is beside them."""

from collections.abc import Iterator
from hashlib import pbkdf2_hmac, sha1
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from xmppd.auth.keys import password_forms
from xmppd.migration import pie
from xmppd.stanza.xml_file import elements_of

BLOCK_BYTES = 8
ITERATIONS, KEY_BYTES = 100_000, 32
"""Of the key of version 5.1 (its ADR-005)."""

MAX_FILE_BYTES = 1 << 20
FILE = "security.xml"


def keys_of(password_key: str, salt: bytes | None) -> Iterator[bytes]:
    """The keys that Openfire may have made of ``passwordKey``: as all versions do, and as 5.1 does
    if it was set up as that, or was told to.

    Args:
        password_key: Of the properties.
        salt: That of ``conf/security.xml``; None without one.
    """
    text = password_key.encode()
    yield sha1(text, usedforsecurity=False).digest()
    if salt is not None:
        yield pbkdf2_hmac("sha512", text, salt, ITERATIONS, KEY_BYTES)


def salt_in(path: Path) -> bytes | None:
    """The salt of keys in a file ``security.xml``; None if there is none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such file; the text names the line.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"the file has more than {MAX_FILE_BYTES} bytes")
    found = None
    for element, around in elements_of(path):
        if element.tag == "salt" and around.tag == "blowfish":
            found = pie.base64_bytes(element.text or "")
    return found


def opened(encrypted: str, key: bytes) -> str:
    """A password: in hexadecimal, first the initial vector, then Blowfish in CBC of UTF-16.

    Args:
        encrypted: As it is kept.
        key: One of :func:`keys_of`.

    Raises:
        ValueError: The key does not open it, or what comes out can be nobody's password.
    """
    data = bytes.fromhex(encrypted)
    vector, rest = data[:BLOCK_BYTES], data[BLOCK_BYTES:]
    try:
        decryptor = Cipher(Blowfish(key), CBC(vector)).decryptor()
        padded = decryptor.update(rest) + decryptor.finalize()
        padding = PKCS7(BLOCK_BYTES * 8).unpadder()
        plain = padding.update(padded) + padding.finalize()
        password = plain.decode("utf-16-be")
        password_forms(password)  # what comes out by a wrong key is mostly none
        return password
    except (UnsupportedAlgorithm, ValueError) as error:
        raise ValueError("the key in ofProperty does not decrypt it") from error


__all__ = ["FILE", "keys_of", "opened", "salt_in"]
