"""A certificate for a private server, made out to 127.0.0.1 by an authority of its own.

As RFC 5280 has them: Python 3.13 takes no others.
"""

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificate(NamedTuple):
    authority: Path
    certificate: Path
    key: Path


def issue(directory: Path) -> Certificate:
    """Its files, in this directory."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())

    def made(name: str, public_key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType) -> Path:
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]),
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            public_key=public_key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        )
        for extension in extensions:
            critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            builder = builder.add_extension(extension, critical=critical)
        path = directory / f"{name}.pem"
        path.write_bytes(builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    by_authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    server = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    authority = x509.BasicConstraints(ca=True, path_length=None)
    uses = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    )
    only = {"encipher_only": False, "decipher_only": False}
    signs = x509.KeyUsage(**{use: use == "key_cert_sign" for use in uses.split()}, **only)
    itself = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    key_file = directory / "key.pem"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificate(
        made("authority", authority_key.public_key(), authority, signs, itself),
        made("server", key.public_key(), server, by_authority),
        key_file,
    )
