"""The keys of our certificates, and what each kind costs at a login."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from xmppd.net.certificate import PrivateKey

_RSA_COSTS = (
    (4_097, "more than 12 times"),
    (4_096, "5 to 12 times"),
    (3_072, "3 to 6 times"),
    (0, "1.6 to 2.5 times"),
)
"""For keys of so many bits or more: the CPU time of a handshake, by that with ECDSA P-256. The
first figure is that of a processor with AVX-512 IFMA; ``python -m bench.tls`` measures it."""

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
"""By the names that TLS has for them: what everybody calls them (FIPS 186)."""


def kind_of(key: PrivateKey) -> str:
    """The kind of a key with its size or curve, such as ``RSA 2048`` or ``ECDSA P-256``."""
    if isinstance(key, rsa.RSAPrivateKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"ECDSA {_CURVES.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.removesuffix("PrivateKey").removeprefix("_")


def cost_of(key: PrivateKey) -> str:
    """What the handshakes of an RSA key cost, as the end of a sentence; empty for other keys."""
    if not isinstance(key, rsa.RSAPrivateKey):
        return ""
    how_much = next(times for bits, times in _RSA_COSTS if key.key_size >= bits)
    return f"a TLS handshake takes {how_much} as much CPU time as with ECDSA P-256"


__all__ = ["cost_of", "kind_of"]
