"""One TCP packet, and the facts that decoding must give whatever headers it is wrapped in."""

import made_captures as make
import numpy as np

from hf_ntg.flows.capture_in.packet_block import PacketBlock
from hf_ntg.flows.capture_in.packets import PacketDecoder

SEGMENT = make.tcp(4000, 443, make.ACK, b"x" * 33, seq=7, ack=9, window=512, options=b"\1" * 12)
PACKET = make.ipv4(make.CLIENT, make.SERVER, 6, SEGMENT)
PACKET_6 = make.ipv6("2001:db8::1", "2001:db8::2", 6, SEGMENT)
SNAP = bytes.fromhex("aaaa03000000")
EXPECTED = [(4000, 443, 33, 512, make.ACK, 7, 9)]


def decode(frames, link=make.ETHERNET, wire=None, decapsulate=False):
    """Packets and the decoder, for frames captured a second apart."""
    sizes = np.array([len(frame) for frame in frames])
    data = np.frombuffer(b"".join(frames) + bytes(64), np.uint8)
    start, time = np.cumsum(sizes) - sizes, np.arange(len(frames)) * 10**9
    wire = sizes if wire is None else np.array(wire)
    decoder = PacketDecoder(decapsulate)
    return decoder.decode(PacketBlock(data, start, sizes, wire, time, np.full(len(frames), link), 0)), decoder


def facts(packets):
    """(source, destination, length, window, flags, sequence, acknowledgement) of each packet, as ports."""
    key = packets.key[:, 4]
    ports = np.stack([key >> np.uint64(32), (key >> np.uint64(16)) & np.uint64(0xFFFF)], axis=1).astype(int)
    ends = [tuple(pair if side == 0 else pair[::-1]) for pair, side in zip(ports.tolist(), packets.side, strict=True)]
    columns = packets.length, packets.window, packets.flags, packets.sequence, packets.acknowledgement
    return [(*end, *map(int, rest)) for end, *rest in zip(ends, *columns, strict=True)]
