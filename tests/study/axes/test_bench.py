from hf_ntg.metrics.registry import RealFlows, find_metric, measure
from hf_ntg.study.axes.bench import Workbench
from hf_ntg.study.plan import QUICK


def test_flows_of_a_split_are_judged_in_the_studys_view(tmp_path):
    split = Workbench(tmp_path, {"loopback": "loopback"}, QUICK).split("loopback", "random", 0)
    assert split.train_arrays.view == split.test_arrays.view == "payload"
    real = RealFlows(split.train_arrays, split.test_arrays)
    found = measure(find_metric("validity"), real, None, 10, 0)
    assert found["overall"] > 0.99, "flows without their empty packets have no handshake, and need none"
