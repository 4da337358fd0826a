"""Whose name stands under a file: a certificate that somebody has, or one that this installation makes for itself once.

A self-made certificate proves that two files come from the same installation and that neither was changed; it does not
prove whose installation that is, and validators call its signer untrusted. It names no person and no machine. The key
that signed it is thrown away, so that nobody can make a second one in its name.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from app.identity import new_id, now
from app.provenance.account import NAME, Signing
from nsp_core.errors import UserError

FILE = "self-made.pem"  # its key, its certificate, and the certificate that signed that
YEARS = 20  # without a time from an authority, a signature is good for as long as its certificate


@dataclass(frozen=True)
class Identity:
    """`chain`: PEM, the signer's own first. `algorithm` as C2PA names it. `own`: not self-made."""

    chain: str
    key: str
    algorithm: str
    name: str
    own: bool


def identity_of(signing: Signing) -> Identity:
    """Makes the self-made one when there is none. Raises UserError for files that are none, OSError, and ImportError
    where the package `cryptography` is not there."""
    if signing.certificate or signing.key:
        if not (signing.certificate and signing.key):
            raise UserError(
                "A certificate of your own needs both files: set WHATNEXT_CERTIFICATE and WHATNEXT_CERTIFICATE_KEY."
            )
        return _identity(_read(signing.certificate), _read(signing.key), own=True)
    path = Path(signing.folder) / FILE
    with contextlib.suppress(FileNotFoundError):
        text = path.read_text(encoding="ascii")
        return _identity(text, text, own=False)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f"{FILE}.{new_id()}.partial")
    try:
        with open(partial, "x", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(self_made())
        try:
            os.link(partial, path)  # unlike a rename, it does not take the place of one that somebody else just made
        except FileExistsError:
            pass
        except OSError:  # a disk without links
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    text = path.read_text(encoding="ascii")
    return _identity(text, text, own=False)


def known_roots(signing: Signing) -> str:
    """PEM of the last certificate of each chain that signs here: what they signed is ours."""
    found = []
    for place in (signing.certificate, str(Path(signing.folder) / FILE)):
        with contextlib.suppress(OSError, UserError):
            found.append(certificates(_read(place))[-1])
    return "".join(found)


def certificates(pem: str) -> list[str]:
    """The certificates in a text. Raises UserError when there is none."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    parts = [begin + part.partition(end)[0] + end + "\n" for part in pem.split(begin)[1:]]
    if not parts:
        raise UserError("There is no certificate in the file that was named for signing: it must be PEM.")
    return parts


def self_made() -> str:
    """A key and its two certificates, as PEM: what C2PA asks of a signer (C2PA 2.2, section 14.5.1), signed by a root
    that only this one has."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    mark = os.urandom(4).hex()

    def named(what: str) -> x509.Name:
        parts = ((NameOID.ORGANIZATION_NAME, NAME), (NameOID.COMMON_NAME, f"self-made {what} {mark}"))
        return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])

    def usage(*, signs: bool) -> x509.KeyUsage:
        """A signer of files signs nothing else; a root signs certificates only."""
        return x509.KeyUsage(
            digital_signature=signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=not signs, crl_sign=not signs, encipher_only=False, decipher_only=False,
        )  # fmt: skip

    begin = now() - timedelta(hours=1)  # clocks differ
    issuer = named("root")

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=365 * YEARS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    root = (
        begun(issuer, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        begun(named("certificate"), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    return (secret + leaf.public_bytes(pem) + root.public_bytes(pem)).decode("ascii")


def _identity(chain: str, key: str, *, own: bool) -> Identity:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.oid import NameOID

    parts = certificates(chain)
    try:
        secret = serialization.load_pem_private_key(key.encode(), password=None)
        leaf = x509.load_pem_x509_certificate(parts[0].encode())
    except (ValueError, TypeError) as error:
        raise UserError(
            f"The certificate or its key cannot be read ({error}): both must be PEM, unencrypted."
        ) from None
    if secret.public_key() != leaf.public_key():
        raise UserError("The key that was named for signing does not belong to the first certificate of its file.")
    algorithm = ""
    if isinstance(secret, ec.EllipticCurvePrivateKey):
        algorithm = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(secret.curve.name, "")
    elif isinstance(secret, rsa.RSAPrivateKey):
        algorithm = "ps256"
    elif isinstance(secret, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    if not algorithm:
        raise UserError("Credentials are signed with keys of EC P-256, P-384, P-521, RSA or Ed25519: choose one.")
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    whole = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity("".join(parts), whole.decode("ascii"), algorithm, str(names[0].value) if names else "", own)


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a PEM file ({type(error).__name__}): name another one.") from error
