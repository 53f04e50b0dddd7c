from dataclasses import replace

import numpy as np
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.generation import FlowGenerator
from hf_ntg.models.baselines import BASELINE_FILE, PrivateNGram, load_baseline, make_baseline
from hf_ntg.models.baselines import private_ngram as module
from hf_ntg.models.baselines.budget_shares import budget_shares
from hf_ntg.privacy import noise
from hf_ntg.privacy.budget import gaussian_delta


def drawn(counts, num_flows=300, seed=0):
    return FlowArrays.from_dataset(FlowGenerator(counts).generate(num_flows, seed=seed))


def many(flows, times=20):
    """The flows, each `times` times, so that counts stand out of the noise."""
    arrays = FlowArrays.from_dataset(flows)
    return arrays.take(np.repeat(np.arange(len(arrays)), times))


def test_much_budget_draws_flows_like_the_training_flows(flows):
    table = many(flows)
    made = drawn(PrivateNGram(50.0).fit(table, 5, "payload"), 3_000)
    for label in ("web", "dns"):
        real = set(
            table.head(5).signed_length[np.isin(table.head(5).label[table.head(5).flow_index], [label])].tolist()
        )
        ours = made.signed_length[made.label[made.flow_index] == label]
        assert np.isin(ours, list(real)).mean() > 0.95
        ports = made.destination_port[made.label == label]
        assert (ports == {"web": 443, "dns": 53}[label]).mean() > 0.9
    shares = {name: np.mean(table.label == name) for name in set(table.label)}
    assert {name: pytest.approx(np.mean(made.label == name), abs=0.05) for name in shares} == shares
    assert made.inter_arrival_time.max() <= 100


@pytest.mark.parametrize("epsilon", [0.01, 1.0])
def test_little_budget_still_draws_flows(flows, epsilon):
    counts = PrivateNGram(epsilon).fit(flows, 4, "payload")
    made = drawn(counts)
    assert made.payload_length.min() >= 1
    assert made.num_packets.max() <= 4
    assert gaussian_delta(counts.privacy["noise_multiplier"], epsilon) <= counts.privacy["delta"]


def test_the_parts_spend_the_budget_together(flows, monkeypatch):
    used = []

    def histogram(cells, units, weights, num_cells, norm, scale, made):
        used.append(scale)
        return np.ones(num_cells)

    monkeypatch.setattr(module, "noised_histogram", histogram)
    counts = PrivateNGram(2.0).fit(flows, 4, "payload")
    assert len(used) == len(budget_shares(1.0, 1.0))
    together = sum(scale**-2 for scale in used) ** -0.5
    assert together == pytest.approx(counts.privacy["noise_multiplier"])


def test_budget_of_missing_columns_goes_to_the_others(flows, monkeypatch):
    used = []
    real = module.noised_histogram
    monkeypatch.setattr(module, "noised_histogram", lambda *given: used.append(given[5]) or real(*given))
    counts = PrivateNGram(2.0).fit(flows.remove_columns(["inter_arrival_time", "protocol"]), 4, "payload")
    assert len(used) == 4
    assert sum(scale**-2 for scale in used) ** -0.5 == pytest.approx(counts.privacy["noise_multiplier"])
    assert drawn(counts).inter_arrival_time is None


@pytest.mark.parametrize("unit", ["flow", "capture"])
def test_counts_of_neighbouring_tables_are_at_most_the_norms_apart(flows, unit, monkeypatch):
    seen, real = [], module.noised_histogram

    def histogram(cells, units, weights, num_cells, norm, scale, made):
        seen.append((real(cells, units, weights, num_cells, norm, 0.0, made), norm))
        return seen[-1][0] + np.arange(num_cells) % 3  # the same choice of states for both tables

    monkeypatch.setattr(module, "noised_histogram", histogram)
    monkeypatch.setattr(PrivateNGram, "_states_of", lambda self, classes, steps: steps.range)
    arrays = FlowArrays.from_dataset(flows)
    kept = np.arange(len(arrays)) != 5 if unit == "flow" else arrays.capture != arrays.capture[5]
    PrivateNGram(2.0, unit=unit).fit(arrays, 4, "payload")
    whole, seen = seen, []
    PrivateNGram(2.0, unit=unit).fit(arrays.take(kept), 4, "payload")
    assert len(whole) == len(seen) == len(budget_shares(1.0, 1.0))
    for (one, norm), (other, _) in zip(whole, seen, strict=True):
        assert 0 < np.linalg.norm(one - other) <= norm * (1 + 1e-9)


def test_one_flow_changes_no_shape(flows, tmp_path, monkeypatch):
    monkeypatch.setattr(noise, "fresh_key", lambda: 5)
    arrays = FlowArrays.from_dataset(flows)
    odd = arrays.payload_length.copy()
    odd[: arrays.offsets[1]] = 60_000
    shapes = []
    for table in (arrays, replace(arrays, payload_length=odd)):
        tensors = PrivateNGram(2.0).fit(table, 4, "payload")._tensors()
        shapes.append({name: (values.shape, values.dtype) for name, values in tensors.items()})
    assert shapes[0] == shapes[1]


def test_saved_counts_are_the_same_generator(flows, tmp_path):
    counts = PrivateNGram(2.0, unit="capture").fit(flows, 4, "payload")
    counts.save(tmp_path / BASELINE_FILE)
    loaded = load_baseline(tmp_path / BASELINE_FILE)
    assert loaded.privacy == counts.privacy
    assert drawn(loaded).payload_length.tolist() == drawn(counts).payload_length.tolist()
    generator = FlowGenerator.from_pretrained(tmp_path)
    assert generator.privacy == counts.privacy
    assert "for one capture" in repr(generator)


def test_the_name_holds_the_budget():
    assert make_baseline("private-n-gram:2.5").epsilon == 2.5
    assert make_baseline("private-n-gram").epsilon == 8.0


def test_no_guarantee_and_no_label_are_refused(flows):
    with pytest.raises(InputError, match="no guarantee"):
        PrivateNGram(float("inf")).fit(flows)
    arrays = FlowArrays.from_dataset(flows)
    with pytest.raises(InputError, match="no label"):
        PrivateNGram().fit(replace(arrays, label=np.where(arrays.label == "web", None, arrays.label)))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("frequent", lambda values: values * 0, "empty packets"),
        ("following", lambda values: values[:-1], "another size"),
        ("following", lambda values: values * 0, "add up to 1"),
        ("following", lambda values: values * 0 + 1, "do not exist"),
        ("shares", lambda values: values - 1, "outside"),
        ("privacy", lambda values: values * 0 + 3, "no unit"),
        ("times", lambda values: values * np.nan, "outside"),
    ],
)
def test_damaged_counts_are_refused(flows, tmp_path, name, change, message):
    counts = PrivateNGram(2.0).fit(flows, 3, "payload")
    tensors = counts._tensors()
    tensors[name] = change(tensors[name])
    counts._tensors = lambda: tensors
    counts.save(tmp_path / BASELINE_FILE)
    with pytest.raises(InputError, match=message):
        load_baseline(tmp_path / BASELINE_FILE)
