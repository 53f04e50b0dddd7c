import struct

import made_captures as make
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_captures import ACK, CLIENT, SERVER, SYN

from hf_ntg.flows.capture_in import packet_block
from hf_ntg.flows.capture_in.pcap import CaptureReader
from hf_ntg.flows.labelling.sni import NotEnoughError, hello_of_records, server_name


def client_hello(name, padding=0):
    """A TLS 1.2 ClientHello message with a padding extension before the server name."""
    host = name.encode()
    entry = struct.pack(">BH", 0, len(host)) + host
    extensions = struct.pack(">HH", 21, padding) + bytes(padding)
    extensions += struct.pack(">HHH", 0, len(entry) + 2, len(entry)) + entry
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack(">H", len(extensions)) + extensions
    return b"\1" + len(body).to_bytes(3) + body


def records(message, size=1 << 14):
    pieces = [message[place : place + size] for place in range(0, len(message), size)]
    return b"".join(b"\x16\3\1" + struct.pack(">H", len(piece)) + piece for piece in pieces)


def names_in(tmp_path, packets, link=make.RAW_IP):
    path = tmp_path / "made.pcap"
    path.write_bytes(make.pcap([(place / 10, data) for place, data in enumerate(packets)], link=link))
    reader = CaptureReader(path, read_sni=True)
    return [name for batch in reader for name in batch.sni], reader.noticed


def segments(data, order, size=600, isn=100):
    """A SYN and the pieces of `data` in this order."""
    packets = [make.tcp(4000, 443, SYN, seq=isn)]
    pieces = [(isn + 1 + place, data[place : place + size]) for place in range(0, len(data), size)]
    packets += [make.tcp(4000, 443, ACK, pieces[index][1], seq=pieces[index][0]) for index in order]
    return [make.ipv4(CLIENT, SERVER, 6, packet) for packet in packets]


@given(st.integers(0, 3000), st.integers(1, 5000))
def test_the_name_is_found_whatever_the_records(padding, size):
    assert server_name(hello_of_records(records(client_hello("a.example.com", padding), size))) == "a.example.com"


def test_a_message_that_breaks_off_asks_for_more():
    message = client_hello("a.example.com")
    for size in range(len(message)):
        with pytest.raises(NotEnoughError):
            server_name(message[:size])


@pytest.mark.parametrize(
    "message",
    [b"\2\0\0\1\0", client_hello(""), client_hello("\udc80".encode("utf-8", "surrogatepass").decode("latin1"))],
)
def test_what_names_no_host_is_an_error(message):
    with pytest.raises(ValueError):  # noqa: PT011 (the message does not matter)
        server_name(message)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [0, 0, 1, 1, 2]])
@pytest.mark.parametrize("chunk", [1 << 20, 700])
def test_a_hello_over_several_segments(tmp_path, monkeypatch, order, chunk):
    monkeypatch.setattr(packet_block, "_CHUNK", chunk)
    data = records(client_hello("big.example.com", 1400))
    names, _ = names_in(tmp_path, segments(data, order))
    assert names == ["big.example.com"]


def test_other_traffic_has_no_name(tmp_path):
    names, _ = names_in(tmp_path, segments(b"\x16\3\1\0\5\1 not a hello" + bytes(300), [0]))
    assert names == [None]


# The destination connection identifier of RFC 9001, appendix A, of which the keys of an Initial are made.
IDENTIFIER = bytes.fromhex("8394c8f03e515708")


def protected_initial(version, frames, number=2):
    """A client Initial as RFC 9001 (or RFC 9369) makes it."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from hf_ntg.flows.labelling import quic_initial as quic

    facts = quic.QUIC_VERSIONS[version]
    secret = quic.initial_secret(facts, IDENTIFIER)
    key, iv, mask_key = (
        quic._expand(secret, f"{facts.label} {name}", size) for name, size in (("key", 16), ("iv", 12), ("hp", 16))
    )
    first = 0xC3 | facts.initial_type << 4
    head = bytes([first]) + struct.pack(">I", version) + b"\x08" + IDENTIFIER + b"\0" + b"\0"
    head += struct.pack(">H", 0x4000 | (4 + len(frames) + 16)) + struct.pack(">I", number)
    sealed = AESGCM(key).encrypt((int.from_bytes(iv) ^ number).to_bytes(12), frames, head)
    mask = Cipher(algorithms.AES(mask_key), modes.ECB()).encryptor().update(sealed[:16])
    out = bytearray(head)
    out[0] ^= mask[0] & 0x0F
    for place in range(4):
        out[len(head) - 4 + place] ^= mask[1 + place]
    return bytes(out) + sealed


def test_keys_are_those_of_the_standard():
    """RFC 9001, A.1: client_initial_secret of connection identifier 0x8394c8f03e515708."""
    from hf_ntg.flows.labelling.quic_initial import QUIC_VERSIONS, _expand, initial_secret

    secret = initial_secret(QUIC_VERSIONS[1], IDENTIFIER)
    assert secret.hex() == "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea"
    assert _expand(secret, "quic key", 16).hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert _expand(secret, "quic iv", 12).hex() == "fa044b2f42a3fd3b46fb255c"
    assert _expand(secret, "quic hp", 16).hex() == "9f50449e04a0e810283a1e9933adedd2"


@pytest.mark.parametrize("version", [1, 0x6B3343CF, 0xFF00001D])
def test_quic(tmp_path, version):
    """The hello in two datagrams, its second half first, with padding, a ping and an acknowledgement between."""
    pytest.importorskip("cryptography")
    hello = client_hello("quic.example.com", 900)

    def crypto(begin, end):
        return b"\6" + struct.pack(">HH", 0x4000 | begin, 0x4000 | (end - begin)) + hello[begin:end]

    frames = [crypto(500, len(hello)) + b"\0\0\1", b"\2\0\0\0\0" + crypto(0, 200) + bytes(9) + crypto(200, 500)]
    datagrams = [protected_initial(version, part, number) for number, part in enumerate(frames)]
    packets = [make.ipv4(CLIENT, SERVER, 17, make.udp(4000, 443, datagram)) for datagram in datagrams]
    assert names_in(tmp_path, packets)[0] == ["quic.example.com"]
    broken = [packet[:-1] + bytes([packet[-1] ^ 1]) for packet in packets]
    assert names_in(tmp_path, broken)[0] == [None]


def test_without_cryptography_quic_is_left_and_said(tmp_path, monkeypatch):
    from hf_ntg.flows.labelling import sni

    monkeypatch.setattr(sni, "cryptography_is_there", lambda: False)
    datagram = b"\xc3\0\0\0\1\x08" + IDENTIFIER + bytes(60)
    names, noticed = names_in(tmp_path, [make.ipv4(CLIENT, SERVER, 17, make.udp(4000, 443, datagram))])
    assert names == [None]
    assert "pip install cryptography" in next(iter(noticed))
