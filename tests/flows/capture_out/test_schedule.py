import numpy as np
import pytest
from datasets import Dataset
from small_flows import make_flows

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_out.schedule import Schedule
from hf_ntg.flows.capture_out.write_pcap import write_pcap

START, TICK = 10**18, 1_000


def scheduled(flows, rate=10.0, class_rates=None, mix=True, view=None, seed=0):
    schedule = Schedule(rate, class_rates or {}, START, TICK, mix, np.random.default_rng(seed), view)
    return list(schedule.batches(flows))


def test_starts_ascend_in_ticks_at_the_rate():
    (batch,) = scheduled(make_flows(2_000), rate=50.0)
    assert (np.diff(batch.start) >= 0).all()
    assert ((batch.start - START) % TICK == 0).all()
    assert 2_000 / ((batch.start[-1] - START) / 1e9) == pytest.approx(50, rel=0.1)
    assert sorted(map(int, batch.flows.flow_id)) == list(range(2_000))


def test_flows_keep_their_order_without_mixing():
    (batch,) = scheduled(make_flows(50), mix=False)
    assert batch.flows.flow_id.tolist() == [str(number) for number in range(50)]


def test_a_class_has_its_own_rate():
    flows = make_flows(3_000)
    parts = scheduled(flows, rate=10.0, class_rates={"dns": 100.0})
    start, label = (
        np.concatenate([read(part) for part in parts]) for read in (lambda p: p.start, lambda p: p.flows.label)
    )
    assert (np.diff(start) >= 0).all()
    own, others = start[label == "dns"], start[label != "dns"]
    assert len(own) / np.ptp(own) == pytest.approx(100e-9, rel=0.15)
    assert len(others) / np.ptp(others) == pytest.approx(10e-9, rel=0.15)
    with pytest.raises(InputError, match="rate of 'mail': there are no flows of this class"):
        scheduled(flows, class_rates={"mail": 1.0})


def test_nothing_to_write():
    for nothing in (make_flows(5).select([]), [], iter([make_flows(5).select([])])):
        with pytest.raises(InputError, match="flows to write: holds no flows"):
            scheduled(nothing)


@pytest.mark.filterwarnings("ignore:flows to write")
def test_parts_may_differ_in_what_they_know(tmp_path):
    known = {"label": "a", "payload_length": [5, 6], "direction": [1, -1], "inter_arrival_time": [0.0, 0.1]}
    parts = [Dataset.from_list([known] * 3), Dataset.from_list([known, known | {"inter_arrival_time": None}])]
    assert write_pcap(parts, tmp_path / "x.pcap").flows == 5
