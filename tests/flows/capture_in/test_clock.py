"""Time stamps that cannot be right, and clocks that claim another unit than they have."""

import struct
from collections import Counter

import made_captures as make
import numpy as np
import pytest

from hf_ntg.flows.capture_in import packet_block
from hf_ntg.flows.capture_in.clock import plausible_times
from hf_ntg.flows.capture_in.packet_block import UNKNOWN_TIME, PacketBlock
from hf_ntg.flows.capture_in.pcap import CaptureReader

SECOND, YEAR = 10**9, 365 * 86_400
BASE = 1_700_000_000
FAR = [0, BASE + 40 * YEAR, BASE - 3 * YEAR]


def repaired(*blocks):
    """The repaired times of blocks of packets, given in seconds (None: unknown), and how many were moved."""
    noticed, made = Counter(), []
    for times in blocks:
        found = np.array([UNKNOWN_TIME if time is None else round(time * SECOND) for time in times])
        made.append(PacketBlock(np.zeros(1, np.uint8), *[np.zeros(len(times), np.int64)] * 3, found, found, 0))
    kept = [(block.time / SECOND).tolist() for block in plausible_times(iter(made), noticed)]
    assert [len(times) for times in kept] == [len(times) for times in blocks]
    return [time for times in kept for time in times], sum(noticed.values())


def steady(count, begin=BASE):
    return [begin + step for step in range(count)]


@pytest.mark.parametrize("far", [*FAR, None])
@pytest.mark.parametrize("place", [0, 1, 5, 9])
def test_one_packet_far_away_takes_the_time_before_it(far, place):
    times = steady(10)
    times[place] = far
    expected = steady(10)
    expected[place] = expected[place - 1] if place else expected[1]
    assert repaired(times) == (expected, 1)


def test_neighbours_may_be_in_other_blocks():
    first, second, third = steady(10), steady(10, BASE + 10), steady(10, BASE + 20)
    second[0] = third[-1] = 0
    found, moved = repaired([*first[:-1], 0], second, third)
    assert moved == 3
    assert found[8:12] == [BASE + 8, BASE + 8, BASE + 8, BASE + 11]
    assert found[-2:] == [BASE + 28, BASE + 28]


@pytest.mark.parametrize(
    "times",
    [
        steady(100),
        [*steady(50), *steady(50, BASE + 3 * YEAR)],  # the clock was set
        [*steady(50), *steady(50, BASE - 3 * YEAR)],
        [BASE + day * 3 * 86_400 for day in range(50)],  # a sensor that sends every third day
        [BASE + (step % 2) * 3 * 86_400 + step for step in range(50)],  # two taps with clocks of their own
        [*steady(50), *steady(17, 0), *steady(50, BASE + 70)],
    ],
)
def test_clocks_that_may_be_right_are_left_alone(times):
    assert repaired(times) == (times, 0)


def test_no_time_is_known():
    assert repaired([None, None]) == ([0, 0], 2)


def capture(times, magic, tick, path):
    """A capture of one flow whose fractions count `tick` seconds, under `magic`."""
    out = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262_144, make.RAW_IP)]
    for place, time in enumerate(times):
        data = make.ipv4(make.CLIENT, make.SERVER, 17, make.udp(4000, 53, bytes([place])))
        fraction = round((time - int(time)) / tick)
        out.append(struct.pack("<IIII", int(time), fraction, len(data), len(data)) + data)
    path.write_bytes(b"".join(out))
    return path


MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D


@pytest.mark.parametrize("chunk", [1 << 20, 700])
@pytest.mark.parametrize(
    ("magic", "tick", "remark"),
    [
        (MICROSECONDS, 1e-6, None),
        (NANOSECONDS, 1e-9, None),
        (MICROSECONDS, 1e-9, "are nanoseconds"),
        (NANOSECONDS, 1e-6, "read as microseconds"),
    ],
)
def test_fractions_that_contradict_the_magic_number(tmp_path, monkeypatch, magic, tick, remark, chunk):
    monkeypatch.setattr(packet_block, "_CHUNK", chunk)
    times = [BASE + 0.89 + 0.013 * step for step in range(60)]
    reader = CaptureReader(capture(times, magic, tick, tmp_path / "x.pcap"))
    (batch,) = reader
    assert batch.flows.inter_arrival_time[1:] == pytest.approx([0.013] * 59, rel=1e-3)
    assert [count for text, count in reader.noticed.items() if "fractions" in text] == ([60] if remark else [])
    assert all(remark and remark in text for text in reader.noticed)


def test_one_impossible_fraction_says_nothing_of_the_others(tmp_path):
    times = [BASE + 0.1 * step for step in range(9)]
    path = capture(times, MICROSECONDS, 1e-6, tmp_path / "x.pcap")
    data = bytearray(path.read_bytes())
    record = 16 + 20 + 8 + 1
    struct.pack_into("<I", data, 24 + 4 * record + 4, 3_000_000_000)
    path.write_bytes(data)
    reader = CaptureReader(path)
    (batch,) = reader
    assert batch.flows.inter_arrival_time.tolist() == pytest.approx([0, 0.1, 0.1, 0.1, 0, 0.2, 0.1, 0.1, 0.1], abs=1e-6)
    assert list(reader.noticed.values()) == [1]


def test_a_packet_of_another_age_cuts_no_flow(tmp_path):
    for far in (0.0, BASE + 40.0 * YEAR):
        times = [BASE + 0.1 * step for step in range(20)]
        times[7] = far
        reader = CaptureReader(capture(times, MICROSECONDS, 1e-6, tmp_path / "x.pcap"))
        (batch,) = reader
        assert batch.flows.packet_count.tolist() == [20]
        assert batch.flows.inter_arrival_time.sum() == pytest.approx(1.9, abs=1e-5)
        assert list(reader.noticed.values()) == [1]
