import evaluate
import pytest
from made_flows import two_services

from hf_ntg.errors import InputError
from hf_ntg.hub import lay_out_metric
from hf_ntg.metrics import ALL_METRICS, METRICS, evaluate_flows, load
from hf_ntg.metrics.membership import likelihood_membership
from hf_ntg.models.baselines import NGram


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_module_agrees_with_the_function(metric):
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    module = load(metric.name)
    assert module.name == metric.name
    options = {"train": two_services(15, seed=2)} if metric.needs_train else {}
    assert module.compute(real=real, synthetic=synthetic, **options) == metric.compute(real, synthetic, **options)
    assert metric.title in module.description


def test_modules_combine():
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    both = evaluate.combine([load(name) for name in ("flow_jsd", "nearest_distance")])
    found = both.compute(references=real, predictions=synthetic)
    assert found["flow_jsd_overall"] == ALL_METRICS["flow_jsd"].compute(real, synthetic)["overall"]
    assert found["nearest_distance_overall"] > 0


def test_every_metric_combines_with_the_others():
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    names = [metric.name for metric in METRICS if not metric.needs_train and not metric.seeded]
    found = evaluate.combine([load(name) for name in names]).compute(references=real, predictions=synthetic)
    assert {f"{name}_overall" for name in names} <= set(found)


def test_the_bundle_holds_every_metric():
    real, synthetic, train = two_services(12, seed=0), two_services(9, seed=1), two_services(15, seed=2)
    module = load("flow_fidelity")
    found = module.compute(references=real, predictions=synthetic, train=train)
    assert list(found) == [prefix + metric.name for metric in METRICS for prefix in ("real_", "")]
    judged = evaluate_flows(train, real, synthetic, baselines=())["metrics"]
    for name, metric in judged.items():
        columns = metric["columns"]
        assert [found[f"real_{name}"], found[name]] == [columns[key]["overall"] for key in ("real", "synthetic")], name


def test_likelihoods_come_as_an_option():
    train, unseen = two_services(15, seed=2), two_services(12, seed=0)
    scorer = NGram(3).fit(train).log_likelihood
    module = load("likelihood_membership")
    found = module.compute(references=unseen, predictions=train, log_likelihood=scorer)
    assert found == likelihood_membership(unseen, train, scorer)


def test_bad_input_is_named():
    module = load("flow_jsd")
    flows = two_services(3, seed=0)
    with pytest.raises(ValueError, match="give synthetic"):
        module.compute(real=flows)
    with pytest.raises(InputError, match="synthetic: no column 'direction'"):
        module.compute(real=flows, synthetic=flows.remove_columns("direction"))
    with pytest.raises(ValueError, match="two names of one side"):
        module.compute(real=flows, references=flows, synthetic=flows)
    with pytest.raises(InputError, match="no_such: no metric of hf_ntg; choose one of flow_jsd"):
        load("no_such")


def test_the_folder_of_a_published_metric_loads_by_its_path(tmp_path):
    """The folder that `ntg publish flow_jsd ORGANISATION/flow_jsd --dry-run` writes."""
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    folder = lay_out_metric("flow_jsd", tmp_path / "flow_jsd", "flow_jsd")
    module = evaluate.load(str(folder))
    assert module.name == "flow_jsd"
    found = module.compute(references=real, predictions=synthetic)
    assert found == ALL_METRICS["flow_jsd"].compute(real, synthetic)


def test_flows_may_come_in_batches_and_one_by_one():
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    whole = ALL_METRICS["flow_jsd"].compute(real, synthetic)
    module = load("flow_jsd")
    for start in range(0, len(real), 6):  # columns, as slicing a data set gives them
        module.add_batch(references=real[start : start + 6], predictions=synthetic[start : start + 6])
    assert len(module) == len(real)
    assert module.compute() == whole
    assert len(module) == 0
    for flow in real:
        module.add(reference=flow)
    for flow in synthetic:
        module.add(synthetic=flow)
    assert module.compute() == whole
    module.add_batch(real=real)
    assert module.compute(predictions=list(synthetic)) == whole
    with pytest.raises(ValueError, match="give real and synthetic"):
        module.compute()
    module.add_batch(real=real)
    with pytest.raises(ValueError, match="real flows were added in parts"):
        module.compute(real=real, synthetic=synthetic)
    with pytest.raises(InputError, match="synthetic: no column 'direction'"):
        module.add_batch(predictions={"label": ["a"], "payload_length": [[1]]})


def test_combined_metrics_take_batches():
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    both = evaluate.combine([load(name) for name in ("flow_jsd", "flow_tv")])
    both.add_batch(references=real[:24], predictions=synthetic[:18])
    both.add(reference=real[0], prediction=synthetic[0])
    found = both.compute()
    twice = [flows.select([*range(len(flows)), 0]) for flows in (real, synthetic)]
    assert found["flow_tv_overall"] == ALL_METRICS["flow_tv"].compute(*twice)["overall"]
