"""The bundled data set: what it promises, and that its card tells the truth."""

from importlib import resources

import numpy as np
import pytest
import yaml

from hf_ntg.flows import load_flows, split_flows
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.schema import FLOW_FEATURES, TCP, UDP

BUNDLED = resources.files("hf_ntg.flows") / "bundled"
ETHERNET_PAYLOAD = 1500


@pytest.fixture(scope="module")
def flows():
    return load_flows()


@pytest.fixture(scope="module")
def arrays(flows):
    return FlowArrays.from_dataset(flows)


def test_it_is_small_and_in_the_schema(flows):
    assert (BUNDLED / "loopback.parquet").stat().st_size < 2_000_000
    assert flows.features == FLOW_FEATURES
    assert len(set(flows["flow_id"])) == len(flows)


def test_every_class_has_enough_flows_and_captures(arrays):
    labels, counts = np.unique(arrays.label.astype(str), return_counts=True)
    assert len(labels) >= 14
    assert counts.min() >= 250
    for label in labels:
        assert len(set(arrays.capture[arrays.label == label])) >= 6


def test_a_split_by_capture_keeps_every_class_on_both_sides(flows):
    parts = split_flows(flows, by="capture")
    assert set(parts["train"]["label"]) == set(parts["test"]["label"]) == set(flows["label"])
    assert not set(parts["train"]["capture"]) & set(parts["test"]["capture"])


def test_packets_are_what_a_wire_carries(arrays):
    first = arrays.offsets[:-1]
    assert arrays.num_packets.max() == 32
    assert (arrays.packet_count >= arrays.num_packets).all()
    assert (arrays.direction[first] == 1).all()
    assert (arrays.inter_arrival_time[first] == 0).all()
    tcp, udp = arrays.protocol == TCP, arrays.protocol == UDP
    assert (tcp | udp).all()
    headers = np.where(tcp[arrays.flow_index], 40, 28)
    assert (arrays.payload_length + headers <= ETHERNET_PAYLOAD).all()
    assert (arrays.payload_length[first[tcp]] == 0).all()  # a SYN
    assert (arrays.tcp_window[udp[arrays.flow_index]] == 0).all()


def test_times_are_whole_microseconds(arrays):
    micros = arrays.inter_arrival_time.astype(np.float64) * 1e6
    short = micros < 1e6  # beyond a second float32 itself is coarser
    assert np.abs(micros - np.round(micros))[short].max() < 0.1


def test_the_card_names_the_file():
    card = (BUNDLED / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "cc0-1.0"
    for configuration in head["configs"]:
        assert (BUNDLED / configuration["data_files"]).is_file()


def test_the_cards_table_is_that_of_the_data(arrays):
    """Flows, captures and distinct 10-packet vectors of every class, as `scripts/describe_dataset.py` counts them."""
    card = (BUNDLED / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in card.splitlines() if line.startswith("|")]
    stated = {row[0]: (int(row[1]), int(row[2]), int(row[3].split()[0])) for row in rows if row[1].isdigit()}
    vectors = arrays.padded("signed_length", 10)
    counted = {}
    for label in [*np.unique(arrays.label.astype(str)), "all"]:
        own = np.ones(len(arrays), dtype=bool) if label == "all" else arrays.label == label
        counted[label] = (own.sum(), len(set(arrays.capture[own])), len(np.unique(vectors[own], axis=0)))
    assert stated == counted


def test_most_flows_differ(arrays):
    vectors = arrays.padded("signed_length", 10)
    assert len(np.unique(vectors, axis=0)) > 0.6 * len(arrays)
