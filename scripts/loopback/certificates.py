"""TLS certificate chains of varied size: one for each of the server's names, as a host of many sites has."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from loopback.workload import Persona, name_of

__all__ = ["make_chains", "nginx_certificates"]


def make_chains(persona: Persona, folder: Path) -> tuple[Path, Path]:
    """Write a chain and key for each of the persona's host names; give the (chain, key) paths of the first.

    ``chain-N.pem`` holds 1 to 3 certificates with 1 to 60 names each, RSA or ECDSA; ``key-N.pem`` is its key. The keys
    are two, shared by all chains: their number does not show on the wire, their kind does.
    """
    rng = persona.rng("certificates")
    keys = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP256R1())}
    for number, host in enumerate(persona.hosts):
        key = keys[rng.choice(["rsa", "ec", "ec"])]
        (folder / f"chain-{number}.pem").write_bytes(_chain(rng, host, key))
        (folder / f"key-{number}.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return folder / "chain-0.pem", folder / "key-0.pem"


def nginx_certificates(persona: Persona, folder: Path) -> tuple[str, str]:
    """nginx configuration that picks the chain by the name in the client's hello: (map block, certificate lines)."""
    names = " ".join(f"{host} {number};" for number, host in enumerate(persona.hosts))
    chosen = f"ssl_certificate {folder}/chain-$site.pem; ssl_certificate_key {folder}/key-$site.pem;"
    return f"map_hash_bucket_size 256; map $ssl_server_name $site {{ default 0; {names} }}", chosen


def _chain(rng: random.Random, host: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """A PEM chain from the leaf up, every certificate signed with `key`."""
    others = [f"{name_of(rng)}.{name_of(rng, 1, 2)}.test" for _ in range(rng.choice([0, 1, 3, 8, 24, 60]))]
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    issuer, chain = None, []
    for level in range(rng.choice([1, 2, 2, 3])):
        owner = x509.NameAttribute(NameOID.ORGANIZATION_NAME, name_of(rng, 2, 12))
        subject = x509.Name([owner, x509.NameAttribute(NameOID.COMMON_NAME, f"{host[:50]} {level}")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=90))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in (host, *others)]), critical=False
            )
        )
        chain.insert(0, builder.sign(key, hashes.SHA256()))
        issuer = subject
    return b"".join(link.public_bytes(serialization.Encoding.PEM) for link in chain)
