import json
import subprocess
import sys

import pytest
from made_flows import table, two_services

from hf_ntg.errors import InputError
from hf_ntg.generation import FlowGenerator
from hf_ntg.metrics import METRICS, evaluate_flows
from hf_ntg.metrics.copies import once_seen_copies
from hf_ntg.models.baselines import make_baseline


@pytest.fixture(scope="module")
def sets():
    train, test = two_services(60, seed=0), two_services(30, seed=1)
    return (
        train,
        test,
        FlowGenerator(make_baseline("3-gram").fit(train)).generate(label={"mail": 50, "web": 70}, seed=1),
    )


@pytest.fixture(scope="module")
def result(sets):
    return evaluate_flows(*sets)


def test_judging_needs_no_torch():
    code = "import sys, hf_ntg.metrics; print({'torch', 'imblearn', 'evaluate'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_metric_for_every_column(result):
    assert result["columns"] == ["real", "synthetic", "replay", "4-gram"]
    assert list(result["metrics"]) == [metric.name for metric in METRICS]
    for metric in result["metrics"].values():
        assert list(metric["columns"]) == result["columns"]
        assert all(score["overall"] is not None for score in metric["columns"].values())
    copies = result["metrics"]["once_seen_copies"]["columns"]
    assert copies["replay"]["once_seen"] + copies["replay"]["recurring"] == 1
    assert copies["real"]["overall"] == 0
    assert copies["real"]["once_seen"] == copies["replay"]["unseen"]["once_seen"]
    assert result["held_out_nats"]["4-gram"] > 0
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_it_is_a_table(result):
    table = result.to_pandas()
    assert list(table.columns) == ["title", "unit", "better", *result["columns"]]
    assert table.loc["tstr", "synthetic"] == result["metrics"]["tstr"]["columns"]["synthetic"]["overall"]
    classes = result.to_pandas(per_class=True)
    assert (
        classes.loc[("flow_jsd", "web"), "real"] == result["metrics"]["flow_jsd"]["columns"]["real"]["per_class"]["web"]
    )
    assert "120 synthetic" in repr(result)
    assert result["metrics"]["tstr"]["title"] in repr(result)
    assert "<table" in result._repr_html_()


def test_distances_to_training_flows_have_a_ratio_to_those_of_real_flows(result):
    columns = result["metrics"]["nearest_distance"]["columns"]
    assert columns["real"]["ratio"] == 1
    assert columns["synthetic"]["ratio"] == columns["synthetic"]["overall"] / columns["real"]["overall"]


def of_capture(flows, name):
    return flows.add_column("capture", [name] * len(flows))


def test_memory_is_measured_against_held_back_flows_of_the_training_captures(sets):
    """Test flows of other captures are no reference for membership inference."""
    train, test, synthetic = sets
    train, test = of_capture(train, "monday"), of_capture(test, "tuesday")
    found = evaluate_flows(
        train, test, synthetic, baselines=("4-gram",), log_likelihood=lambda flows: flows.offsets[1:]
    )
    for name in ("membership_inference", "likelihood_membership"):
        for column in ("synthetic", "4-gram"):
            left_out = found["metrics"][name]["columns"][column]
            assert left_out["overall"] is None
            assert "no unseen flow comes from a capture of the training flows" in left_out["reason"]
    assert any(note.startswith("Membership inference is left out") for note in found["notes"])
    assert found["metrics"]["once_seen_copies"]["columns"]["synthetic"]["overall"] is not None

    held_back = of_capture(two_services(25, seed=7), "monday")
    found = evaluate_flows(train, test, synthetic, held_back=held_back, baselines=())
    columns = found["metrics"]["membership_inference"]["columns"]
    assert columns["synthetic"]["flows"] == [50, 50]
    assert columns["real"]["flows"] == [25, 25]
    copies = found["metrics"]["once_seen_copies"]["columns"]["real"]
    assert copies["once_seen"] == once_seen_copies(held_back, held_back, train)["once_seen"]
    assert found["sets"]["held_back"] == {"flows": 50, "classes": 2}
    assert not any("Membership inference" in note for note in found["notes"])
    with pytest.raises(InputError, match="held_back flows: none comes from a capture of the train flows"):
        evaluate_flows(train, test, synthetic, held_back=test)


def test_the_interval_of_use_is_over_captures_where_they_are_known(sets):
    train, test, synthetic = sets
    scored = evaluate_flows(train, test, synthetic, baselines=())["metrics"]["tstr"]["columns"]["synthetic"]
    assert (scored["interval_by"], scored["interval_units"]) == ("flows", len(test))
    captures = [f"c{k % 3}" for k in range(len(test))]
    found = evaluate_flows(train, test.add_column("capture", captures), synthetic, baselines=())
    scored = found["metrics"]["tstr"]["columns"]["synthetic"]
    assert (scored["interval_by"], scored["interval_units"]) == ("captures", 3)
    assert any("come from 3 captures" in note for note in found["notes"])


def test_a_generator_with_likelihoods_is_asked_for_them(sets):
    train, test, synthetic = sets
    scorer = make_baseline("3-gram").fit(train).log_likelihood
    found = evaluate_flows(train, test, synthetic, log_likelihood=scorer)["metrics"]["likelihood_membership"]
    scores = {name: column["overall"] for name, column in found["columns"].items()}
    assert scores["real"] is scores["replay"] is None
    assert scores["synthetic"] > 0.5
    assert scores["4-gram"] >= scores["synthetic"]


def test_a_model_that_cannot_read_the_unseen_flows_costs_one_score(sets):
    def refuses(flows):
        raise InputError("flow 3: protocol 132 was not trained on")

    found = evaluate_flows(*sets, baselines=("4-gram",), log_likelihood=refuses)
    columns = found["metrics"]["likelihood_membership"]["columns"]
    assert columns["synthetic"]["overall"] is None
    assert columns["4-gram"]["overall"] is not None
    assert "Membership inference by likelihood has no score: flow 3: protocol 132 was not trained on." in found["notes"]


def test_the_same_seed_gives_the_same_result(sets, result):
    assert evaluate_flows(*sets, seed=0) == result


def test_planted_defects_show_where_they_should(sets):
    train, test, _ = sets
    planted = {
        "none": train,
        "shuffled": train.map(lambda row: {"payload_length": row["payload_length"][::-1]}),
        "slow": train.map(lambda row: {"inter_arrival_time": [30 * gap for gap in row["inter_arrival_time"]]}),
        "one flow a class": train.select([0] * 60 + [60] * 60),
    }
    metrics = {metric.name: metric for metric in METRICS}
    scores = {
        (defect, name): metrics[name].compute(test, flows)["overall"]
        for defect, flows in planted.items()
        for name in ("flow_jsd", "length_distance", "timing_distance", "flow_size_distance")
    }
    assert scores["shuffled", "flow_jsd"] > 2 * scores["none", "flow_jsd"]
    assert scores["shuffled", "length_distance"] == scores["none", "length_distance"]
    assert scores["slow", "timing_distance"] > 1
    assert scores["slow", "flow_jsd"] == scores["none", "flow_jsd"]
    assert scores["one flow a class", "flow_size_distance"] > 2 * scores["none", "flow_size_distance"]
    assert scores["one flow a class", "flow_jsd"] > 2 * scores["none", "flow_jsd"]


def test_what_is_left_out_is_said(sets):
    train, test, _ = sets
    extra = table(("chat", [5]), (None, [6]), *(("web", [700]),) * 3)
    notes = " ".join(evaluate_flows(train, test, extra, baselines=(), view="all")["notes"])
    assert "1 synthetic flows have no label" in notes
    assert "no synthetic flow (mail)" in notes
    assert "not among the test flows (chat; 0 training and 1 synthetic flows)" in notes
    assert "There are 4 synthetic flows" in notes


def test_sets_that_cannot_be_compared(sets):
    train, test, synthetic = sets
    with pytest.raises(InputError, match="none of their labels"):
        evaluate_flows(train, test, table(("chat", [5])))
    with pytest.raises(InputError, match="labels is among those of the train flows"):
        evaluate_flows(table(("chat", [5])), test, synthetic)
    with pytest.raises(InputError, match="one flow is too few"):
        evaluate_flows(train, test.select([0]), synthetic)
    with pytest.raises(InputError, match="none has a label"):
        evaluate_flows(train, table((None, [5])), synthetic)
    with pytest.raises(InputError, match="synthetic flows: no column 'direction'"):
        evaluate_flows(train, test, synthetic.remove_columns("direction"))
    with pytest.raises(InputError, match="at least one packet"):
        evaluate_flows(train, test, synthetic, max_packets=0)
    with pytest.raises(InputError, match="no baseline 'oracle'"):
        evaluate_flows(train, test, synthetic, baselines=["oracle"])
