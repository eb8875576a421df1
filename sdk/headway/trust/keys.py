"""Signing keys: Ed25519 only, kept as PKCS #8 PEM files that nobody but their owner can read.

A private key never leaves :class:`SigningKey` except through :meth:`SigningKey.to_pem`. Anything with ``public`` and
``sign`` can stand in for one (:class:`Signer`): a hardware token, a key service, or the far side of a file exchange.
This module reads and writes keys; it decides nothing about who may sign what.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from headway.contract.digests import canonical_json, digest_of, hex_of
from headway.contract.errors import RefusedError, malformed
from headway.contract.parsing import Fields
from headway.contract.versions import parse_name

_TYPE = "ed25519"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key. ``value`` is 64 hex digits."""

    value: str

    @property
    def keyid(self) -> str:
        """How TUF metadata names the key: hex SHA-256 of the key's canonical JSON. Never taken from outside."""
        return hex_of(digest_of(canonical_json(self.key_json(), document="key")))

    def key_json(self) -> dict[str, object]:
        """The key object of TUF metadata."""
        return {"keytype": _TYPE, "scheme": _TYPE, "keyval": {"public": self.value}}

    def to_json(self) -> dict[str, object]:
        """``{"keyid", "key"}``; inverse of :meth:`from_json`."""
        return {"keyid": self.keyid, "key": self.key_json()}

    @classmethod
    def from_json(cls, value: object) -> PublicKey:
        """Read ``{"keyid", "key"}``.

        Raises:
            RefusedError: code ``malformed``; also for another algorithm, or a key id that is not the key's own.
        """
        fields = value if isinstance(value, Fields) else Fields(value, "public key")
        key = fields.nested("key")
        for name in ("keytype", "scheme"):
            key.text(name, choices=(_TYPE,))
        result = cls(key.nested("keyval").text("public", max_length=64))
        try:
            if len(bytes.fromhex(result.value)) != 32 or result.value != result.value.lower():
                raise ValueError
        except ValueError as error:
            raise malformed("public key", "$.key.keyval.public", "64 lower-case hex digits") from error
        if fields.text("keyid", max_length=64) != result.keyid:
            raise malformed("public key", "$.keyid", "the SHA-256 of the key itself")
        return result

    def verifies(self, signature: bytes, payload: bytes) -> bool:
        """Whether ``signature`` over ``payload`` was made by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.value)).verify(signature, payload)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(Protocol):
    """Something that signs. The private part may live anywhere."""

    @property
    def public(self) -> PublicKey:
        """The key that verifies what :meth:`sign` makes."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """The 64-byte Ed25519 signature of ``payload``."""
        ...


class SigningKey:
    """An Ed25519 private key in memory. Its ``repr`` shows the key id only."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._public = PublicKey(raw.hex())

    def __repr__(self) -> str:
        return f"SigningKey({self._public.keyid[:12]}…)"

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, payload: bytes) -> bytes:
        """The 64-byte signature of ``payload``."""
        return self._private.sign(payload)

    @classmethod
    def generate(cls) -> SigningKey:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of a 32-byte seed: for simulators, whose bytes must be the same in every run."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def to_pem(self) -> bytes:
        """Unencrypted PKCS #8 in PEM. Whoever has these bytes has the key."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Read PKCS #8 PEM.

        Raises:
            RefusedError: code ``malformed``; not an unencrypted Ed25519 key. The bytes are never quoted.
        """
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise malformed("key file", "$", "an unencrypted PKCS #8 private key in PEM") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise malformed("key file", "$", "an Ed25519 key")
        return cls(private)


class KeyFolder:
    """The keys of a release machine, one ``<name>.pem`` each, mode 0600 in a folder of mode 0700."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> tuple[str, ...]:
        """Names of the keys here, sorted."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.pem")))

    def create(self, name: str) -> SigningKey:
        """Generate and store a key.

        Raises:
            RefusedError: code ``key_exists`` (a key is never overwritten) or ``malformed`` (the name).
        """
        key = SigningKey.generate()
        self.add(name, key)
        return key

    def add(self, name: str, key: SigningKey) -> None:
        """Store an existing key; raises as :meth:`create`."""
        path = self._path(name)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise RefusedError(
                "key_exists",
                f"There is already a key named {name}.",
                hint="Choose another name; to replace a key, rotate it, then remove the old file yourself.",
                kind="conflict",
                name=name,
            ) from error
        with os.fdopen(handle, "wb") as file:
            file.write(key.to_pem())
            file.flush()
            os.fsync(file.fileno())

    def load(self, name: str) -> SigningKey:
        """Read the key named ``name``.

        Raises:
            RefusedError: codes ``no_such_key``, ``open_key_file`` (others could read it) or ``malformed``.
        """
        path = self._path(name)
        try:
            mode = path.stat().st_mode
            pem = path.read_bytes()
        except FileNotFoundError as error:
            raise RefusedError(
                "no_such_key",
                f"There is no key named {name} in {self.folder}.",
                hint="See the names with `headway keys show`, or create the keys with `headway keys create`.",
                kind="not_found",
                name=name,
            ) from error
        if mode & 0o077:
            raise RefusedError(
                "open_key_file",
                f"The key file {path.name} can be read by other users.",
                hint=f"Run `chmod 600 {path}`; if other people use this machine, rotate the key as well.",
                kind="not_allowed",
            )
        return SigningKey.from_pem(pem)

    def all(self) -> tuple[SigningKey, ...]:
        """Every key here; raises as :meth:`load`."""
        return tuple(self.load(name) for name in self.names())

    def _path(self, name: str) -> Path:
        return self.folder / f"{parse_name(name, what='key name')}.pem"


def among(signers: Iterable[Signer], keyids: Iterable[str]) -> tuple[Signer, ...]:
    """Those of ``signers`` whose key is one of ``keyids``: a key signs only what it is listed for."""
    wanted = frozenset(keyids)
    return tuple(signer for signer in signers if signer.public.keyid in wanted)
