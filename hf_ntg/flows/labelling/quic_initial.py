"""Decrypts QUIC Initial packets. Their keys derive from unencrypted fields (RFC 9001, section 5; RFC 9369)."""

from __future__ import annotations

import hmac
from hashlib import sha256
from importlib.util import find_spec
from typing import NamedTuple

__all__ = ["QUIC_VERSIONS", "InitialReader", "cryptography_is_there", "initial_secret"]


class _Version(NamedTuple):
    salt: bytes
    initial_type: int  # packet type in the long header
    label: str


QUIC_VERSIONS = {
    0x00000001: _Version(bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), 0, "quic"),
    0x6B3343CF: _Version(bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"), 1, "quicv2"),
    0xFF00001D: _Version(bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899"), 0, "quic"),  # draft 29
}
_MOST_DATAGRAMS = 16
_MOST_CRYPTO = 1 << 16
_PADDING, _PING, _ACK, _ACK_ECN, _CRYPTO = 0, 1, 2, 3, 6


def cryptography_is_there() -> bool:
    """Return whether the package `cryptography` is installed, which decryption of Initial packets needs."""
    return find_spec("cryptography") is not None


class InitialReader:
    """Reassembles the client's handshake from the Initial packets of one connection."""

    def __init__(self) -> None:
        self._side = -1
        self._identifier: bytes | None = None
        self._pieces: dict[int, bytes] = {}
        self._datagrams = 0

    def add(self, side: int, _sequence: int, datagram: bytes) -> None:
        """Add a UDP payload; payloads of the other side are ignored.

        Raises:
            ValueError: the packet cannot be decrypted, or the handshake is too long.
        """
        if self._side < 0:
            self._side = side
        if side != self._side:
            return
        self._datagrams += 1
        if self._datagrams > _MOST_DATAGRAMS:
            raise ValueError("no whole ClientHello")
        try:
            while datagram and datagram[0] & 0x80:
                datagram = self._open_packet(datagram)
        except IndexError as error:
            raise ValueError("a QUIC packet that breaks off") from error

    def hello(self) -> bytes:
        """Return the handshake bytes from the start up to the first gap."""
        hello = b""
        for offset, piece in sorted(self._pieces.items()):
            if offset > len(hello):
                break
            hello += piece[len(hello) - offset :]
        return hello

    def _open_packet(self, data: bytes) -> bytes:
        """Read the first packet of `data`; return the rest of the datagram."""
        version = QUIC_VERSIONS.get(int.from_bytes(data[1:5]))
        if version is None:
            raise ValueError("a QUIC version unknown here")
        place = 6 + data[5]
        identifier = data[6:place]
        place += 1 + data[place]
        is_initial = (data[0] >> 4) & 3 == version.initial_type
        if is_initial:
            size, place = _varint(data, place)
            place += size  # token
        size, place = _varint(data, place)
        end = place + size
        if not is_initial:
            return data[end:]
        if end > len(data):
            raise ValueError("an Initial that breaks off")
        if self._identifier is None:
            self._identifier = identifier
        self._read_frames(_unprotect(data[:end], place, initial_secret(version, self._identifier), version.label))
        return data[end:]

    def _read_frames(self, frames: bytes) -> None:
        """Keep the CRYPTO frames of a decrypted payload, by their offset in the handshake."""
        place = 0
        while place < len(frames):
            kind, place = _varint(frames, place)
            if kind in (_PADDING, _PING):
                continue
            if kind in (_ACK, _ACK_ECN):
                place = _behind_ack(frames, place, kind == _ACK_ECN)
            elif kind == _CRYPTO:
                offset, place = _varint(frames, place)
                size, place = _varint(frames, place)
                if offset + size > _MOST_CRYPTO:
                    raise ValueError("a ClientHello of more than 64 KiB")
                self._pieces[offset] = frames[place : place + size]
                place += size
            else:
                return


def initial_secret(version: _Version, identifier: bytes) -> bytes:
    """Return the client's Initial secret for a destination connection identifier (RFC 9001, 5.2)."""
    shared = hmac.digest(version.salt, identifier, sha256)
    return _expand(shared, "client in", 32)


def _unprotect(packet: bytes, number_at: int, secret: bytes, label: str) -> bytes:
    """Decrypt the frames of `packet`, whose packet number begins at byte `number_at`.

    Raises:
        ValueError: the packet was not protected with this secret.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sample = packet[number_at + 4 : number_at + 20]
    if len(sample) < 16:
        raise ValueError("an Initial too short for its protection")
    key, iv, header_key = (
        _expand(secret, f"{label} {name}", size) for name, size in (("key", 16), ("iv", 12), ("hp", 16))
    )
    mask = Cipher(algorithms.AES(header_key), modes.ECB()).encryptor().update(sample)
    header = bytearray(packet[: number_at + 4])
    header[0] ^= mask[0] & 0x0F
    size = (header[0] & 3) + 1
    for place in range(size):
        header[number_at + place] ^= mask[1 + place]
    del header[number_at + size :]
    number = int.from_bytes(header[number_at:])
    nonce = (int.from_bytes(iv) ^ number).to_bytes(12)
    try:
        return AESGCM(key).decrypt(nonce, packet[number_at + size :], bytes(header))
    except InvalidTag as error:
        raise ValueError("not an Initial of this connection") from error


def _expand(secret: bytes, label: str, size: int) -> bytes:
    """Compute HKDF-Expand-Label of TLS 1.3 with SHA-256 and no context (RFC 8446, 7.1), for at most one block."""
    name = b"tls13 " + label.encode()
    info = size.to_bytes(2) + bytes([len(name)]) + name + b"\0"
    return hmac.digest(secret, info + b"\1", sha256)[:size]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the variable-length integer at `place` (RFC 9000, section 16), and the place after it."""
    size = 1 << (data[place] >> 6)
    if place + size > len(data):
        raise IndexError(place)
    return int.from_bytes(data[place : place + size]) & ((1 << (8 * size - 2)) - 1), place + size


def _behind_ack(frames: bytes, place: int, with_ecn: bool) -> int:
    for _ in range(2):  # largest acknowledged, delay
        _, place = _varint(frames, place)
    ranges, place = _varint(frames, place)
    for _ in range(min(2 * ranges + 1 + 3 * with_ecn, len(frames))):
        _, place = _varint(frames, place)
    return place
