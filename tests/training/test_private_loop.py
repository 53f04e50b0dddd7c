import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hf_ntg import FlowGenerator, InputError, TrainingConfig
from hf_ntg.errors import Interrupted
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.privacy import noise
from hf_ntg.privacy.noise import SecretNoise
from hf_ntg.training import private_loop, train
from hf_ntg.training.private_loop import PrivatePlan, noised_gradient
from hf_ntg.training.private_objective import PrivateObjective

pytest.importorskip("opacus")
SMALL = {"epsilon": 4.0, "max_packets": 4, "max_payload": 300, "batch_size": 40, "max_steps": 2, "time_bins": 8}
WEIGHTS = "model.safetensors"


def config(folder="unused", family="gpt2", **changes):
    return TrainingConfig.recipe(family, output_dir=str(folder), **SMALL | changes)


def without_row(flows, row):
    """A neighbouring table: the content of one flow is replaced, its class and the number of flows stay."""
    arrays = FlowArrays.from_dataset(flows)
    where = slice(arrays.offsets[row], arrays.offsets[row + 1])
    length, times, ports = (
        values.copy() for values in (arrays.payload_length, arrays.inter_arrival_time, arrays.destination_port)
    )
    length[where], times[where], ports[row] = 40_000, 5_000.0, 31_337
    return replace(arrays, payload_length=length, inter_arrival_time=times, destination_port=ports).to_dataset()


@pytest.fixture
def known_noise(monkeypatch):
    monkeypatch.setattr(noise, "fresh_key", lambda: 11)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_neighbouring_tables_differ_in_the_weights_alone(flows, tmp_path, known_noise, family):
    for name, table in (("one", flows), ("two", without_row(flows, 3))):
        train(table, config(tmp_path / name, family, batch_size=10_000))  # all flows take part
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one.keys() == two.keys()
    assert {name for name in one if one[name] != two[name]} == {WEIGHTS}


def test_the_seed_does_not_tell_the_noise(flows, tmp_path):
    for name in ("one", "two"):
        train(flows, config(tmp_path / name))
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    assert any(not torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("unit", ["flow", "capture"])
def test_a_unit_moves_the_clipped_gradient_by_at_most_the_norm(flows, unit, monkeypatch):
    monkeypatch.setattr(private_loop, "MOST_FLOWS", 100)  # no capture has more, so no flow is left out at random
    settings = config(privacy_unit=unit, batch_size=10_000, max_grad_norm=0.5)
    arrays = FlowArrays.from_dataset(flows)
    objective = PrivateObjective.prepare(arrays, settings, SecretNoise())
    plan = PrivatePlan(objective, settings)
    assert plan.rate == 1.0
    plan.noise, plan.expected = 0.0, 1.0
    whole = noised_gradient(objective, plan, settings, SecretNoise())
    for left_out in (0, 3):
        kept = objective.unit != left_out
        rest = replace(objective, sentences=objective.sentences[torch.from_numpy(kept)], unit=objective.unit[kept])
        other = noised_gradient(rest, plan, settings, SecretNoise())
        moved = torch.stack([(whole[p] - other[p]).square().sum() for p in whole]).sum().sqrt()
        assert moved <= 0.5 * (1 + 1e-3)
        assert moved > 0.4  # gradients are longer than the norm


def test_noise_is_added_in_multiples_of_the_norm_over_the_expected_sample(flows):
    settings = config(max_grad_norm=0.25)
    objective = PrivateObjective.prepare(FlowArrays.from_dataset(flows), settings, SecretNoise())
    plan = PrivatePlan(objective, settings)
    plan.rate = 0.0  # an empty sample
    grads = torch.cat([grad.flatten() for grad in noised_gradient(objective, plan, settings, SecretNoise()).values()])
    assert grads.std().item() == pytest.approx(plan.noise * 0.25 / plan.expected, rel=0.01)


def test_the_record_states_the_guarantee_and_nothing_of_the_flows(flows, tmp_path):
    result = train(flows, config(tmp_path))
    record = json.loads((tmp_path / "training_run.json").read_text())
    assert result.privacy == record["privacy"]
    assert record["privacy"] | {"epsilon": 4.0, "unit": "flow", "units": 240, "steps": 2} == record["privacy"]
    assert 0 < record["privacy"]["epsilon_spent"] <= 4.0
    assert record["identity"]["flows"] is None
    assert {"flows", "history"}.isdisjoint(record)
    assert not (tmp_path / "checkpoints").exists()
    generator = FlowGenerator.from_pretrained(tmp_path)
    assert generator.privacy == record["privacy"]
    assert "epsilon 4, delta 1e-05 for one flow" in repr(generator)
    assert len(generator.generate(20)) == 20


def test_one_flow_decides_no_word_and_no_length(flows, tmp_path):
    train(flows, config(tmp_path))
    grammar = FlowGenerator.from_pretrained(tmp_path).sampler.tokenizer.grammar
    assert grammar.max_packets == 4
    assert grammar.extra_lengths == ()
    assert 6_667 in grammar.ports
    assert grammar.label_counts != tuple(np.unique(flows["label"], return_counts=True)[1])


def test_from_a_public_model_to_a_private_one(flows, tiny_gpt2, tmp_path):
    train(flows, config(tmp_path, initial_model=str(tiny_gpt2)))
    public, private = (
        FlowGenerator.from_pretrained(folder).sampler.tokenizer.grammar for folder in (tiny_gpt2, tmp_path)
    )
    assert private.ports == public.ports
    assert private.time_knots == public.time_knots
    assert "initial model" in json.loads((tmp_path / "training_run.json").read_text())["privacy"]["public"]


def test_captures_as_units(flows, tmp_path):
    result = train(flows, config(tmp_path, privacy_unit="capture", batch_size=3))
    assert result.privacy["units"] == 6
    assert result.privacy["sample_rate"] == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"validation_share": 0.1},
        {"keep": "best", "validation_share": 0.1},
        {"max_memory": 0.0},
        {"tracker": "tensorboard"},
        {"dropout": 0.1},
        {"mixed_precision": "bf16"},
    ],
)
def test_what_is_not_accounted_for_is_refused(changes):
    with pytest.raises(InputError, match="not accounted for"):
        config(**changes)


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan"), 101])
def test_an_epsilon_without_a_guarantee_is_refused(epsilon):
    with pytest.raises(InputError, match="epsilon"):
        config(epsilon=epsilon)


@pytest.mark.parametrize("family", ["mamba", "unet"])
def test_other_families_are_refused(family):
    with pytest.raises(InputError, match="gpt2, llama"):
        TrainingConfig.recipe(family, epsilon=1.0)


def test_delta_needs_epsilon():
    with pytest.raises(InputError, match="delta without epsilon"):
        TrainingConfig(delta=1e-5)


def test_settings_and_not_flows_decide_what_is_learned(flows, tmp_path):
    with pytest.raises(InputError, match="--no-times"):
        train(flows.remove_columns("inter_arrival_time"), config(tmp_path))
    with pytest.raises(InputError, match="--no-header"):
        train(flows.remove_columns("protocol"), config(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_finished_private_model_is_kept(flows, tmp_path):
    train(flows, config(tmp_path))
    with pytest.raises(InputError, match="holds a private model"):
        train(flows, config(tmp_path))
    train(flows, config(tmp_path, overwrite=True))


def test_an_interrupted_private_run_leaves_nothing_of_the_flows(flows, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(private_loop, "noised_gradient", stop)
    with pytest.raises(Interrupted, match="starts over"):
        train(flows, config(tmp_path))
    assert not (tmp_path / WEIGHTS).exists()
    left = b"".join(files_of(tmp_path).values())
    assert b"sha256" not in left
    monkeypatch.undo()
    train(flows, config(tmp_path))
    assert (tmp_path / WEIGHTS).exists()
