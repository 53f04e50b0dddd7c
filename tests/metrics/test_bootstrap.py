import numpy as np
import pytest
from made_flows import table

from hf_ntg.metrics.bootstrap import f1_intervals
from hf_ntg.metrics.utility import score_predictions
from hf_ntg.metrics.views import view_flows


def test_interchangeable_flows_are_drawn_as_single_flows_are():
    """Drawing groups of equal flows gives the spread of drawing rows one by one."""
    rng = np.random.default_rng(0)
    names, (test,) = view_flows(table(*(("abc"[k % 3], [1]) for k in range(60))), max_packets=1)
    said = np.where(rng.random(60) < 0.7, test.classes, rng.integers(0, 3, 60))
    found = f1_intervals(test, [said], seed=0)
    drawn = []
    for _ in range(400):
        rows = rng.integers(0, 60, 60)
        drawn.append(score_predictions(names, test.take(rows), said[rows])["overall"])
    assert found["intervals"][0] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.04)
    assert found["difference"] is None


def test_a_draw_without_a_class_averages_over_the_others():
    flows = table(*[("a", [1])] * 4, *[("b", [1])] * 4).add_column("capture", ["x"] * 4 + ["y"] * 4)
    _, (test,) = view_flows(flows, max_packets=1)
    found = f1_intervals(test, [test.classes], seed=0)
    assert found["intervals"] == [[1, 1]]
    assert (found["by"], found["units"]) == ("captures", 2)


def test_flows_of_one_capture_are_drawn_one_by_one():
    flows = table(*[("a", [1])] * 4).add_column("capture", ["x"] * 4)
    _, (test,) = view_flows(flows, max_packets=1)
    assert f1_intervals(test, [test.classes], seed=0)["by"] == "flows"
