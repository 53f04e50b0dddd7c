"""Captures that are not in order of time."""

import random

import made_captures as make
import numpy as np
import pytest

from hf_ntg.flows.capture_in import packet_block, time_order
from hf_ntg.flows.capture_in.pcap import CaptureReader, read_pcap

TALK = make.conversation([517, -1400, 80, -900])
ORDERED = [0, 0, 0, 517, -1400, 80, -900, 0, 0, 0]


def shuffled(seed):
    packets = TALK.copy()
    random.Random(seed).shuffle(packets)
    return packets


def other_way_round(tapped):
    return [*tapped[0::2], *tapped[1::2]]


ORDERS = {
    "two packets swapped": [*TALK[:4], TALK[5], TALK[4], *TALK[6:]],
    "receiver behind sender": [one for one in TALK if one[1][12:16] == make.address(make.CLIENT)]
    + [one for one in TALK if one[1][12:16] == make.address(make.SERVER)],
    "sender behind receiver": [one for one in TALK if one[1][12:16] == make.address(make.SERVER)]
    + [one for one in TALK if one[1][12:16] == make.address(make.CLIENT)],
    "backwards": TALK[::-1],
    "every other one first": other_way_round(TALK),
    **{f"shuffled {seed}": shuffled(seed) for seed in range(3)},
}


def reading(packets, tmp_path):
    path = tmp_path / "made.pcap"
    path.write_bytes(make.pcap(packets, link=make.RAW_IP))
    return path


@pytest.mark.parametrize("chunk", [1 << 20, 100])
@pytest.mark.parametrize("packets", ORDERS.values(), ids=ORDERS)
def test_any_order_gives_the_same_flow(tmp_path, monkeypatch, packets, chunk):
    monkeypatch.setattr(packet_block, "_CHUNK", chunk)
    reader = CaptureReader(reading(packets, tmp_path))
    (batch,) = reader
    flows = batch.flows
    assert flows.signed_length.tolist() == ORDERED
    assert flows.inter_arrival_time.tolist() == pytest.approx([0] + [0.01] * 9, abs=1e-6)
    assert flows.destination_port.tolist() == [443]
    assert ["put in order" in remark for remark in reader.noticed] == [True]


def test_a_capture_in_order_is_not_touched(tmp_path):
    reader = CaptureReader(reading(TALK, tmp_path))
    list(reader)
    assert not reader.noticed


@pytest.mark.parametrize("window", [16, 1000])
def test_a_bounded_window_sorts_what_is_near(tmp_path, monkeypatch, window):
    """Packets up to four places out of order come out in order if the window holds twice as many."""
    rng = np.random.default_rng(0)
    times = np.arange(200.0)
    packets = [(time, make.ipv4(make.CLIENT, make.SERVER, 17, make.udp(1, 2, bytes(int(time))))) for time in times]
    packets = [packets[place] for place in np.argsort(times + rng.uniform(0, 4, 200), kind="stable")]
    path = reading(packets, tmp_path)
    monkeypatch.setattr(time_order, "_WINDOW_PACKETS", window)
    monkeypatch.setattr(packet_block, "_CHUNK", 300)
    assert read_pcap(path)["payload_length"] == [list(range(200))]
    reader = CaptureReader(path)
    list(reader)
    assert not any("mergecap" in text for text in reader.noticed)


def test_max_packets_keeps_the_first_by_time(tmp_path):
    flows = read_pcap(reading(TALK[::-1], tmp_path), max_packets=4)
    assert flows["payload_length"] == [[0, 0, 0, 517]]
    assert flows["packet_count"] == [10]
