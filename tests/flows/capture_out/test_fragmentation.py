import struct

import pytest

from hf_ntg.flows.capture_out.fragmentation import cut_datagram, fragment_room, largest_datagram

LINK = bytes(12) + b"\x08\x00"


def frame_of(version, datagram):
    if version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 9, 0, 64, 17, 0) + bytes(
            [10, 0, 0, 1, 10, 0, 0, 2]
        )
    else:
        head = struct.pack(">IHBB", 6 << 28, len(datagram), 17, 64) + bytes(32)
    return LINK + head + datagram + b"padding"


@pytest.mark.parametrize(("version", "header"), [(4, 20), (6, 48)])
def test_fragments_join_to_the_datagram(version, header):
    datagram = bytes(range(256)) * 12
    frames = cut_datagram(frame_of(version, datagram), version, 1_280, number=77)
    assert all(len(frame) <= 14 + 1_280 for frame in frames)
    pieces, places, more = [], [], []
    for frame in frames:
        field = struct.unpack(">H", frame[20:22] if version == 4 else frame[56:58])[0]
        places.append((field & 0x1FFF) * 8 if version == 4 else field & 0xFFF8)
        more.append(bool(field & (0x2000 if version == 4 else 1)))
        pieces.append(frame[14 + header :])
    assert b"".join(pieces) == datagram
    assert places == [len(b"".join(pieces[:k])) for k in range(len(pieces))]
    assert more == [True] * (len(frames) - 1) + [False]
    if version == 4:  # the header checksum: words of a correct header add up to all ones
        total = sum(struct.unpack(">10H", frames[0][14:34]))
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_room():
    assert largest_datagram(4, 1_500) == 1_472
    assert largest_datagram(6, 1_500) == 1_452
    assert fragment_room(4, 1_500) == 1_480
    assert fragment_room(6, 1_500) == 1_448
