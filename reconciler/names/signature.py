"""Signatures of IPNS records, by the kinds of keys that libp2p has: the one door to `cryptography`.

    ed25519      over the message itself
    secp256k1    ECDSA over its SHA-256, in DER          as `ecdsa`, with any curve
    rsa          PKCS #1 v1.5 with SHA-256, 2048 to 8192 bits

libp2p peer id specification, "Key Types"; go-libp2p core/crypto for the limits of RSA.
"""

from typing import Final

from reconciler.core.ipns import IpnsError, PublicKey

_RSA_BITS: Final = (2048, 8192)


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is of `key` over `message`. Raises IpnsError for a key that is none."""
    # Here, since it is two libraries in C and Rust, and most runs see no IPNS record.
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        _check(key, message, signature)
    except InvalidSignature:
        return False
    except IpnsError:
        raise
    except (ValueError, UnsupportedAlgorithm):
        raise IpnsError(f"the {key.kind} key of the name cannot be read") from None
    return True


def _check(key: PublicKey, message: bytes, signature: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if key.kind == "ed25519":
        ed25519.Ed25519PublicKey.from_public_bytes(key.data).verify(signature, message)
        return
    if key.kind == "secp256k1":
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.data)
        point.verify(signature, message, ec.ECDSA(SHA256()))
        return
    loaded = load_der_public_key(key.data)
    if key.kind == "ecdsa" and isinstance(loaded, ec.EllipticCurvePublicKey):
        loaded.verify(signature, message, ec.ECDSA(SHA256()))
    elif key.kind == "rsa" and isinstance(loaded, rsa.RSAPublicKey):
        if not _RSA_BITS[0] <= loaded.key_size <= _RSA_BITS[1]:
            raise IpnsError(
                f"the RSA key of the name has {loaded.key_size} bits, which is not to be relied on"
            )
        loaded.verify(signature, message, padding.PKCS1v15(), SHA256())
    else:
        raise IpnsError(f"the {key.kind} key of the name is a key of another kind")
