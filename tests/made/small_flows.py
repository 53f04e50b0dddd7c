"""Flows small enough to learn from in a test run."""

import numpy as np

from hf_ntg.flows.arrays import FlowArrays


def make_flows(num_flows: int = 240, seed: int = 0, max_packets: int = 8):
    """Flows of three classes that differ in their first lengths, in six captures; times, ports and protocols vary."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, num_flows)
    lengths = rng.integers(1, max_packets + 1, num_flows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    owner = np.repeat(kind, lengths)
    position = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    times = np.where(position == 0, 0, 10 ** rng.uniform(-5, 1, offsets[-1]))
    return FlowArrays(
        offsets=offsets,
        payload_length=(100 * owner + rng.integers(0, 4, offsets[-1])).astype(np.int32),
        direction=np.where(position % 2 == 0, 1, -1).astype(np.int8),
        inter_arrival_time=times.astype(np.float32),
        label=np.array(["web", "dns", "a chat & more"], dtype=object)[kind],
        protocol=np.where(kind == 1, 17, 6).astype(np.int32),
        source_port=rng.integers(32_768, 60_999, num_flows).astype(np.int32),
        destination_port=np.array([443, 53, 6667], dtype=np.int32)[kind],
        packet_count=lengths.astype(np.int32),
        capture=np.array([f"capture-{i}" for i in rng.integers(0, 6, num_flows)], dtype=object),
    ).to_dataset()
