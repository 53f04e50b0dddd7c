from pathlib import Path

import evaluate
import pytest
from made_flows import two_services

import hf_ntg.metrics
from hf_ntg.errors import InputError
from hf_ntg.metrics import METRICS, evaluate_flows
from hf_ntg.metrics.membership import likelihood_membership
from hf_ntg.models.baselines import NGram

FOLDER = Path(hf_ntg.metrics.__file__).parent


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_folder_loads_and_agrees_with_the_function(metric):
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    module = evaluate.load(str(FOLDER / metric.name))
    assert module.name == metric.name
    options = {"train": two_services(15, seed=2)} if metric.needs_train else {}
    assert module.compute(real=real, synthetic=synthetic, **options) == metric.compute(real, synthetic, **options)
    assert metric.title in module.description


def test_modules_combine():
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    both = evaluate.combine([evaluate.load(str(FOLDER / name)) for name in ("flow_jsd", "copy_rate")])
    found = both.compute(references=real, predictions=synthetic)
    assert found["flow_jsd_overall"] == hf_ntg.metrics.METRICS[0].compute(real, synthetic)["overall"]
    assert 0 < found["copy_rate_overall"] < 1


def test_every_metric_combines_with_the_others():
    real, synthetic = two_services(12, seed=0), two_services(9, seed=1)
    names = [metric.name for metric in METRICS if not metric.needs_train and not metric.seeded]
    found = evaluate.combine([evaluate.load(str(FOLDER / name)) for name in names]).compute(
        references=real, predictions=synthetic
    )
    assert {f"{name}_overall" for name in names} <= set(found)


def test_the_bundle_holds_every_metric():
    real, synthetic, train = two_services(12, seed=0), two_services(9, seed=1), two_services(15, seed=2)
    module = evaluate.load(str(FOLDER / "flow_fidelity"))
    found = module.compute(references=real, predictions=synthetic, train=train)
    assert list(found) == [prefix + metric.name for metric in METRICS for prefix in ("real_", "")]
    judged = evaluate_flows(train, real, synthetic, baselines=())["metrics"]
    for name, metric in judged.items():
        columns = metric["columns"]
        assert [found[f"real_{name}"], found[name]] == [columns[key]["overall"] for key in ("real", "synthetic")], name


def test_likelihoods_come_as_an_option():
    train, unseen = two_services(15, seed=2), two_services(12, seed=0)
    scorer = NGram(3).fit(train).log_likelihood
    module = evaluate.load(str(FOLDER / "likelihood_membership"))
    found = module.compute(references=unseen, predictions=train, log_likelihood=scorer)
    assert found == likelihood_membership(unseen, train, scorer)


def test_bad_input_is_named():
    module = evaluate.load(str(FOLDER / "flow_jsd"))
    flows = two_services(3, seed=0)
    with pytest.raises(ValueError, match="give synthetic"):
        module.compute(real=flows)
    with pytest.raises(InputError, match="synthetic: no column 'direction'"):
        module.compute(real=flows, synthetic=flows.remove_columns("direction"))
