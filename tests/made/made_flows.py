"""Small flow tables with known answers."""

import numpy as np
from datasets import Dataset

from hf_ntg.flows import conform_flows


def table(*flows, **columns) -> Dataset:
    """Flows given as (label, packets) or (label, packets, times); a packet is +bytes or -bytes, "+0" and "-0" empty."""
    rows = {"label": [], "payload_length": [], "direction": []}
    times = []
    for label, packets, *rest in flows:
        rows["label"].append(label)
        rows["payload_length"].append([abs(int(packet)) for packet in packets])
        rows["direction"].append([-1 if str(packet).startswith("-") else 1 for packet in packets])
        times += rest
    if times:
        rows["inter_arrival_time"] = times
    return conform_flows(Dataset.from_dict({**rows, **columns}), "made flows")


def two_services(flows_each: int, seed: int) -> Dataset:
    """Two classes with a handshake, a request, and answers that depend on the request."""
    rng = np.random.default_rng(seed)
    made = []
    for label, base in (("mail", 100), ("web", 700)):
        for _ in range(flows_each):
            request = base + int(rng.integers(0, 6))
            answers = [f"-{request + 10 * k}" for k in range(rng.integers(1, 5))]
            packets = ["+0", "-0", "+0", f"+{request}", *answers]
            gap = rng.lognormal(-5, 1, len(packets))
            gap[0] = 0
            made.append((label, packets, gap.tolist()))
    return table(*made, protocol=[6] * len(made), destination_port=[25] * flows_each + [443] * flows_each)
