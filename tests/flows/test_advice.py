import numpy as np

from hf_ntg.flows.advice import training_warnings
from hf_ntg.flows.arrays import as_arrays


def table(labels, ports=None, packets=2, count=None):
    rows = {
        "label": labels,
        "payload_length": [[5] * packets] * len(labels),
        "direction": [[1] * packets] * len(labels),
    }
    if ports is not None:
        rows["destination_port"] = ports
    if count is not None:
        rows["packet_count"] = [count] * len(labels)
    return as_arrays(rows)


def test_a_sound_table_gives_no_warning():
    assert training_warnings(table(["a", "b"] * 100, count=2), steps=500) == []


def test_doubtful_tables_and_settings_are_named():
    few = " ".join(training_warnings(table(["a"] * 16), steps=5))
    assert "16 flows" in few
    assert "5 training steps" in few
    assert "one class ('a')" in few
    rare = " ".join(training_warnings(table(["a"] * 100 + ["b"] * 100 + ["c"] * 4)))
    assert "1 class has fewer than 5 flows (c)" in rare
    assert "no label" in " ".join(training_warnings(table([None, "a"] * 50)))
    assert "no flow has a label" in " ".join(training_warnings(table([None] * 100)))


def test_flows_on_the_port_of_another_service_are_named():
    ports = np.full(200, 443)
    ports[:20:2] = 53
    (said,) = training_warnings(table(["https", "other"] * 100, ports.tolist()))
    assert said == "class 'https': 10% of its flows go to port 53 (dns)"
