"""The keys that are stored in place of a password (:rfc:`5802#section-3`)."""

import hashlib
import hmac
import re
import secrets
from contextlib import suppress

from precis_i18n import get_profile

from xmppd.auth.saslprep import saslprep
from xmppd.store.scram_keys import ScramKeys

ALGORITHMS = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
"""The hashes that SCRAM is offered with, and what hashlib calls them."""

SALT_BYTES = 16
MAX_PASSWORD_BYTES = 1_023

_opaque_string = get_profile("OpaqueString")
_unchanged = re.compile(r"[ -~]+\Z").match


def prepare_password(password: str) -> bytes:
    """The password as it is hashed, in UTF-8 (PW-1).

    Raises:
        ValueError: It is empty, too long, or has characters that no password may have. The
            message does not quote it.
    """
    return password_forms(password)[0]


def password_forms(password: str) -> tuple[bytes, ...]:
    """Each form that a password can have been hashed in, in UTF-8; the right one comes first.

    That is the one of SASLprep, which :rfc:`5802#section-2.2` has clients of SCRAM use. A password
    that has none, such as one with a character that is newer, is an OpaqueString
    (:rfc:`8265#section-4.2`).

    Raises:
        ValueError: It has none, or one that is too long. The message does not quote it.
    """
    if len(password) > MAX_PASSWORD_BYTES:
        raise ValueError(f"the password is longer than {MAX_PASSWORD_BYTES} bytes")
    if _unchanged(password):
        return (password.encode(),)
    forms: dict[bytes, None] = {}
    for prepare in (saslprep, _opaque_string.enforce):
        with suppress(ValueError):
            forms[prepare(password).encode()] = None
    if not password:
        raise ValueError("the password is empty")
    if not forms:
        raise ValueError("the password has a character that is not allowed")
    if any(len(form) > MAX_PASSWORD_BYTES for form in forms):
        raise ValueError(f"the password is longer than {MAX_PASSWORD_BYTES} bytes")
    return tuple(forms)


def derive_keys(prepared: bytes, hash: str, salt: bytes, iterations: int) -> ScramKeys:
    """The keys of a prepared password under one hash. Takes milliseconds: call it in a thread."""
    salted_password = hashlib.pbkdf2_hmac(ALGORITHMS[hash], prepared, salt, iterations)
    return keys_of(salted_password, hash, salt, iterations)


def keys_of(salted_password: bytes, hash: str, salt: bytes, iterations: int) -> ScramKeys:
    """The keys, once PBKDF2 is done."""
    algorithm = ALGORITHMS[hash]
    client_key = hmac.digest(salted_password, b"Client Key", algorithm)
    return ScramKeys(
        hash=hash,
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.new(algorithm, client_key).digest(),
        server_key=hmac.digest(salted_password, b"Server Key", algorithm),
    )


def make_keys(prepared: bytes, iterations: int) -> tuple[ScramKeys, ...]:
    """Keys of a new password for every hash, each with its own salt. Call it in a thread."""
    return tuple(
        derive_keys(prepared, hash, secrets.token_bytes(SALT_BYTES), iterations)
        for hash in ALGORITHMS
    )


def keys_match(keys: ScramKeys, prepared: bytes) -> bool:
    """Whether these are the keys of this prepared password. Call it in a thread."""
    derived = derive_keys(prepared, keys.hash, keys.salt, keys.iterations)
    return hmac.compare_digest(derived.stored_key, keys.stored_key)
