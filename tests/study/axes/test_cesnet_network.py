import numpy as np
import pytest
from made_flows import table

from hf_ntg.metrics.views import view_flows
from hf_ntg.study.axes.cesnet_network import CesnetInputs


def view_of(*flows):
    return view_flows(table(*flows), max_packets=40)[1][0]


def test_inputs_are_scaled_by_the_training_flows():
    view = view_of(("a", [100, -300], [0, 0.5]), ("a", [200], [0]))
    packets, statistics = CesnetInputs(view, timed=True)(view)
    assert packets.shape == (2, 3, 30)
    assert statistics.shape == (2, 5)
    present = packets[:, 2][packets[:, 1] != 0].numpy()
    assert sorted(present) == pytest.approx(sorted((np.array([100, 300, 200]) - 200) / np.std([100, 300, 200])))
    assert packets[0, 1].tolist() == [1, -1] + [0] * 28
    assert packets[1, :, 1:].abs().sum() == 0
    assert statistics.mean(dim=0).tolist() == pytest.approx([0] * 5, abs=1e-6)
    without = CesnetInputs(view, timed=False)(view)[0]
    assert without[:, 0].abs().sum() == 0


def test_packets_after_the_thirtieth_are_cut():
    view = view_of(("a", [5] * 35), ("a", [6]))
    packets, _ = CesnetInputs(view, timed=False)(view)
    assert (packets[0, 1] == 1).all()
