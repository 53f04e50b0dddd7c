import math

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_ntg.constants import PREDICTION_TYPES
from hf_ntg.flows import conform_flows
from hf_ntg.models.pipeline_flow_diffusion import FlowDiffusionPipeline
from hf_ntg.training import TrainingConfig, train
from hf_ntg.training.objective_diffusion import DiffusionObjective, _snr_weight


def made_flows(number: int = 64) -> Dataset:
    """Class "a" sends 517 and gets 1200; class "b" sends 40 twice, three times or four times."""
    rows = {
        "label": ["a", "b"] * (number // 2),
        "payload_length": [[517, 1200] if k % 2 == 0 else [40] * (2 + k % 3) for k in range(number)],
        "direction": [[1, -1] if k % 2 == 0 else [1] * (2 + k % 3) for k in range(number)],
        "inter_arrival_time": [[0.0, 0.1] if k % 2 == 0 else [0.0] + [2.0] * (1 + k % 3) for k in range(number)],
    }
    return conform_flows(Dataset.from_dict(rows), "made flows")


def config(tmp_path, **options) -> TrainingConfig:
    settings = {"model": "unet", "max_packets": 4, "epochs": 2, "batch_size": 16, "checkpoint_every": 0, **options}
    return TrainingConfig(output_dir=str(tmp_path), **settings)


def test_it_learns_what_packets_say_of_one_another(tmp_path):
    """Every packet of a class is one of two: only together do they tell a flow of the class from a mixture."""
    patterns = {("a", 0): [517, 1200, 40], ("a", 1): [90, 41, 700], ("b", 0): [40, 700, 41], ("b", 1): [1200, 90, 517]}
    keys = list(patterns) * 16
    rows = {
        "label": [label for label, _ in keys],
        "payload_length": [patterns[key] for key in keys],
        "direction": [[1, -1, 1]] * len(keys),
    }
    flows = conform_flows(Dataset.from_dict(rows), "made flows")
    settings = config(tmp_path, epochs=50, learning_rate=1e-3, validation_share=0.2, ema_decay=0.9)
    result = train(flows, settings)
    for name in ("loss", "validation_loss"):
        assert result.history[-1][name] < 0.75 * result.history[0][name]
    drawn = FlowDiffusionPipeline.from_pretrained(tmp_path).generate_flows(["a"] * 40 + ["b"] * 40, seed=0)
    whole = [
        row in (patterns[label, 0], patterns[label, 1])
        for label, row in zip(drawn["label"], drawn["payload_length"], strict=True)
    ]
    assert np.mean(whole) > 0.6  # of packets drawn alone, 0.25


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
@pytest.mark.parametrize("form", ["codes", "separate"])
def test_every_form_and_target_trains_and_generates(form, prediction_type, tmp_path):
    options = {"packet_form": form, "prediction_type": prediction_type, "validation_share": 0}
    result = train(made_flows(16), config(tmp_path, epochs=1, **options))
    assert math.isfinite(result.history[0]["loss"])
    flows = FlowDiffusionPipeline.from_pretrained(tmp_path).generate_flows(["b", "a"], num_inference_steps=2)
    assert conform_flows(flows, "generated")["label"] == ["b", "a"]


def test_times_are_drawn_as_often_as_they_are_in_the_training_flows(tmp_path):
    """After one epoch the network knows nothing of times: what is right about them was matched."""
    times = 10.0 ** np.random.default_rng(0).uniform(-4, 0, 200)
    times[:80] = 0
    rows = {
        "label": ["a"] * 200,
        "payload_length": [[517, 1200]] * 200,
        "direction": [[1, -1]] * 200,
        "inter_arrival_time": [[0.0, time] for time in times],
    }
    train(conform_flows(Dataset.from_dict(rows), "made flows"), config(tmp_path, epochs=1))
    drawn = FlowDiffusionPipeline.from_pretrained(tmp_path).generate_flows(["a"] * 1_024, seed=5)
    found = np.array([flow[1] for flow in drawn["inter_arrival_time"] if len(flow) > 1])
    assert 0.3 < np.mean(found == 0) < 0.5
    shares = [0.1, 0.5, 0.9]
    wanted = np.quantile(np.log10(times[80:]), shares)
    np.testing.assert_allclose(np.quantile(np.log10(found[found > 0]), shares), wanted, atol=0.4)


def test_the_loss_of_a_step_is_the_sum_of_its_shares(tmp_path):
    objective = DiffusionObjective(config(tmp_path), made_flows(), None)
    rows = np.arange(12)
    with torch.no_grad():
        whole = objective.module(**objective.collate(rows, np.random.default_rng(3)))
        parts = [objective.module(**objective.collate(rows[k::2], np.random.default_rng(3))) for k in range(2)]
    torch.testing.assert_close(sum(parts), whole)


def test_no_class_is_told_at_the_asked_rate(tmp_path):
    objective = DiffusionObjective(config(tmp_path, condition_dropout=0.5), made_flows(), None)
    classes = objective.collate(np.arange(64), np.random.default_rng(0))["classes"].numpy()
    assert 16 < (classes == -1).sum() < 48
    assert (classes[classes >= 0] == (np.arange(64) % 2)[classes >= 0]).all()


def test_validation_is_the_same_every_time(tmp_path):
    objective = DiffusionObjective(config(tmp_path), made_flows(), made_flows(16))
    assert objective.validation_loss(objective.module) == objective.validation_loss(objective.module)
    assert objective.module.training


def test_min_snr_weights_are_those_of_the_clean_signal():
    angle = torch.tensor([0.1, 0.5, 1.0, 1.5])
    snr = 1 / torch.tan(angle) ** 2
    wanted = snr.clamp(max=5.0)  # on the clean signal's squared error
    # An error e of the clean signal is e / tan(angle) of the noise and e / sin(angle) of v.
    torch.testing.assert_close(_snr_weight("sample", angle, 5.0), wanted)
    torch.testing.assert_close(_snr_weight("epsilon", angle, 5.0) / torch.tan(angle) ** 2, wanted)
    torch.testing.assert_close(_snr_weight("v_prediction", angle, 5.0) / torch.sin(angle) ** 2, wanted)
    assert (_snr_weight("epsilon", angle, 0) == 1).all()


def test_resumed_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    train(made_flows(), config(tmp_path / "straight", epochs=3))
    resumed = config(tmp_path / "resumed", epochs=3, checkpoint_every=1)
    collate, calls = DiffusionObjective.collate, []

    def stop_in_the_third_epoch(self, rows, rng):
        calls.append(rows)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return collate(self, rows, rng)

    with monkeypatch.context() as patch:
        patch.setattr(DiffusionObjective, "collate", stop_in_the_third_epoch)
        with pytest.raises(KeyboardInterrupt):
            train(made_flows(), resumed)
    train(made_flows(), resumed)
    name = "unet/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
