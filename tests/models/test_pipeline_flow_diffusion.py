import json
import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

from hf_ntg.codecs.processing_flow_signal import FlowSignalProcessor
from hf_ntg.constants import PREDICTION_TYPES
from hf_ntg.errors import InputError
from hf_ntg.flows import FlowArrays, conform_flows
from hf_ntg.models import pipeline_flow_diffusion
from hf_ntg.models.flow_denoiser import DenoiserOutput, FlowDenoiser, build_unet, noise_target
from hf_ntg.models.pipeline_flow_diffusion import FlowDiffusionPipeline

COSINE = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"}


def made_flows(number: int = 24) -> Dataset:
    """Class "a" is TCP and answers, class "b" is UDP and only asks."""
    rows = {
        "label": ["a", "b"] * (number // 2),
        "protocol": [6, 17] * (number // 2),
        "destination_port": [443, 53] * (number // 2),
        "payload_length": [[0, 0, 517, 1200 + k % 3] if k % 2 == 0 else [40, 40] for k in range(number)],
        "direction": [[1, -1, 1, -1] if k % 2 == 0 else [1, 1] for k in range(number)],
        "inter_arrival_time": [[0.0, 0.1, 0.2, 0.3 + k] if k % 2 == 0 else [0.0, 1.0 + k] for k in range(number)],
    }
    return conform_flows(Dataset.from_dict(rows), "made flows")


def made_pipeline(**options) -> FlowDiffusionPipeline:
    """An untrained pipeline of two steps."""
    processor = FlowSignalProcessor.fit(made_flows())
    unet = build_unet(processor)
    scheduler = DPMSolverMultistepScheduler(prediction_type="v_prediction", **COSINE)
    return FlowDiffusionPipeline(unet, scheduler, processor, num_inference_steps=2, **options)


@pytest.fixture(scope="module")
def pipeline() -> FlowDiffusionPipeline:
    return made_pipeline()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_a_right_prediction_reads_as_the_clean_signal(prediction_type):
    processor = FlowSignalProcessor.fit(made_flows(), packet_form="separate")
    denoiser = FlowDenoiser(build_unet(processor), processor, prediction_type)
    clean = torch.from_numpy(processor.encode(made_flows()).values) * denoiser.scale
    noise = torch.randn(clean.shape, generator=seeded(0))
    angle = torch.linspace(0.01, 1.55, len(clean))
    noisy = torch.cos(angle)[:, None, None] * clean + torch.sin(angle)[:, None, None] * noise
    output = noise_target(prediction_type, clean, noise, angle)
    nothing = torch.empty(len(clean), clean.shape[2], 0)
    torch.testing.assert_close(denoiser.read(nothing, output, noisy, angle), clean, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "scheduler",
    [
        *(DDIMScheduler(prediction_type=kind, **COSINE) for kind in ("sample", "epsilon", "v_prediction")),
        DDPMScheduler(prediction_type="sample", clip_sample=False, **COSINE),
        DPMSolverMultistepScheduler(prediction_type="sample", **COSINE),
        DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++", prediction_type="sample", **COSINE),
        EulerDiscreteScheduler(prediction_type="sample"),
        FlowMatchEulerDiscreteScheduler(),
        FlowMatchEulerDiscreteScheduler(shift=3.0),
    ],
    ids=lambda scheduler: type(scheduler).__name__,
)
def test_every_scheduler_arrives_where_the_denoiser_points(scheduler, monkeypatch):
    pipeline = made_pipeline()
    pipeline.scheduler = scheduler
    signals = torch.from_numpy(pipeline.processor.encode(made_flows()).values)
    wanted = signals * pipeline._denoiser.scale
    seen = []

    def knowing(noisy, angle, condition):
        turn = float(angle[0])
        seen.append((turn, float((noisy - math.cos(turn) * wanted).std() / math.sin(turn))))
        return DenoiserOutput(wanted, wanted, wanted)

    monkeypatch.setattr(pipeline._denoiser, "forward", knowing)
    out = pipeline(made_flows()["label"], num_inference_steps=8, generator=seeded(1), output_type="pt")
    torch.testing.assert_close(out.signals, signals, atol=5e-3, rtol=0)
    angles = [angle for angle, _ in seen]
    assert angles == sorted(angles, reverse=True)
    assert angles[0] > 1.4  # it starts at noise
    assert all(abs(spread - 1) < 0.1 for _, spread in seen)  # the noise is as strong as the angle says


@pytest.mark.parametrize(
    "kind",
    [
        DDIMScheduler,
        DDPMScheduler,
        EulerAncestralDiscreteScheduler,
        HeunDiscreteScheduler,
        LMSDiscreteScheduler,
        PNDMScheduler,
        UniPCMultistepScheduler,
    ],
)
def test_schedulers_are_swapped_by_their_configuration(kind, pipeline):
    swapped = FlowDiffusionPipeline(**pipeline.components)
    swapped.scheduler = kind.from_config(pipeline.scheduler.config)
    out = swapped(["a", "b"], num_inference_steps=4, generator=seeded(2))
    assert conform_flows(out.flows, "generated")["label"] == ["a", "b"]
    assert torch.isfinite(out.signals).all()


def test_saved_and_loaded_bit_for_bit(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = FlowDiffusionPipeline.from_pretrained(tmp_path)
    for name, tensor in pipeline.unet.state_dict().items():
        assert torch.equal(tensor, loaded.unet.state_dict()[name]), name
    assert type(loaded.scheduler) is DPMSolverMultistepScheduler
    labels = ["a", "b", "a"]
    assert loaded.generate_flows(labels, seed=3).to_dict() == pipeline.generate_flows(labels, seed=3).to_dict()
    loaded.save_pretrained(tmp_path / "again")
    for name in ("unet/diffusion_pytorch_model.safetensors", "processor/preprocessor_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_no_code_is_saved_and_the_unet_is_native(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    assert not list(tmp_path.rglob("*.py"))
    assert json.loads((tmp_path / "model_index.json").read_text())["unet"] == ["diffusers", "UNet1DModel"]
    statistics = json.loads((tmp_path / "processor" / "preprocessor_config.json").read_text())
    assert statistics["labels"] == ["a", "b"]


def test_a_hub_id_is_fetched_as_a_folder(pipeline, tmp_path, monkeypatch):
    pipeline.save_pretrained(tmp_path / "stored")
    asked = {}

    def fetch(repo_id, allow_patterns, **options):
        asked.update(options, repo_id=repo_id)
        return str(tmp_path / "stored")

    monkeypatch.setattr(pipeline_flow_diffusion, "snapshot_download", fetch)
    loaded = FlowDiffusionPipeline.from_pretrained("someone/flows", revision="v1")
    assert asked == {"repo_id": "someone/flows", "revision": "v1"}
    assert loaded.generate_flows(["a"], seed=1).to_dict() == pipeline.generate_flows(["a"], seed=1).to_dict()


def test_exactly_the_flows_asked_for_whatever_stands_beside_them(pipeline):
    rng = np.random.default_rng(0)
    block = pipeline.flows_per_block
    labels = rng.choice(["a", "b"], block + 5).tolist()
    whole = pipeline.generate_flows(labels, seed=7)
    assert conform_flows(whole, "generated")["label"] == labels
    assert whole["flow_id"] == [f"synthetic-{i}" for i in range(len(labels))]
    assert set(whole.filter(lambda row: row["label"] == "b")["destination_port"]) == {53}
    first = pipeline.generate_flows(labels[:9], seed=7)
    assert first.to_dict() == whole.select(range(9)).to_dict()
    rest = pipeline.draw_block(labels[block:], seed=7, block=1).to_dataset()
    assert rest.to_dict() == whole.select(range(block, len(labels))).remove_columns("flow_id").to_dict()
    assert pipeline.generate_flows(labels[:9], seed=8).to_dict() != first.to_dict()


def test_a_call_gives_what_was_asked_for(pipeline):
    labels = ["a", "b", "b"]
    out = pipeline(labels, generator=seeded(0))
    assert out.flows["label"] == labels
    array = pipeline(labels, generator=seeded(0), output_type="np")
    assert array.flows is None
    np.testing.assert_array_equal(array.signals, out.signals.numpy())
    classes, headers = np.array([0, 1, 1]), np.array([0, 1, 1])
    read = pipeline.processor.decode(array.signals, classes, headers)
    np.testing.assert_array_equal(read.payload_length, FlowArrays.from_dataset(out.flows).payload_length)


def test_guidance_zero_knows_no_class_and_more_guidance_changes_the_signal(pipeline):
    draw = {
        scale: [pipeline([name] * 4, 2, scale, seeded(5), output_type="pt").signals for name in "ab"]
        for scale in (0.0, 1.0, 3.0)
    }
    torch.testing.assert_close(draw[0.0][0], draw[0.0][1])
    assert not torch.allclose(draw[1.0][0], draw[1.0][1], atol=1e-3)
    assert not torch.allclose(draw[3.0][0], draw[1.0][0], atol=1e-3)


def test_bad_requests_are_named(pipeline):
    with pytest.raises(InputError, match="class 'c' is not one the model knows"):
        pipeline(["c"])
    with pytest.raises(InputError, match="output type 'pil'"):
        pipeline(["a"], output_type="pil")
    with pytest.raises(InputError, match="no flows"):
        pipeline.generate_flows([])


def test_the_progress_bar_stays_away_when_told(pipeline, capsys):
    pipeline.generate_flows(["a"], progress=False)
    assert capsys.readouterr().err == ""
    pipeline.generate_flows(["a"], progress=True)
    assert "generating" in capsys.readouterr().err
