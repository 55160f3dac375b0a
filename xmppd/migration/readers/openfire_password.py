"""The passwords of Openfire, which it encrypts with a key that is beside them."""

from hashlib import sha1

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from xmppd.auth.keys import password_forms

BLOCK_BYTES = 8


def opened(encrypted: str, key: str) -> str:
    """A password: in hexadecimal, first the initial vector, then Blowfish in CBC of UTF-16.

    Args:
        encrypted: As it is kept.
        key: ``passwordKey`` of the properties.

    Raises:
        ValueError: The key does not open it, or what comes out can be nobody's password.
    """
    data = bytes.fromhex(encrypted)
    vector, rest = data[:BLOCK_BYTES], data[BLOCK_BYTES:]
    try:
        made = sha1(key.encode(), usedforsecurity=False).digest()  # as Openfire makes it
        decryptor = Cipher(Blowfish(made), CBC(vector)).decryptor()
        padded = decryptor.update(rest) + decryptor.finalize()
        padding = PKCS7(BLOCK_BYTES * 8).unpadder()
        plain = padding.update(padded) + padding.finalize()
        password = plain.decode("utf-16-be")
        password_forms(password)  # what comes out by a wrong key is mostly none
        return password
    except (UnsupportedAlgorithm, ValueError) as error:
        raise ValueError("the key in ofProperty does not decrypt it") from error


__all__ = ["opened"]
