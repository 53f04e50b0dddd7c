from collections import Counter

import numpy as np
import pytest
import torch
from datasets import concatenate_datasets

from hf_ntg import FlowGenerator, InputError, TrainingConfig, train
from hf_ntg.flows import conform_flows
from hf_ntg.flows.class_mix import class_counts
from hf_ntg.flows.schema import FLOW_FEATURES
from hf_ntg.flows.view import flows_in_view
from hf_ntg.generation import prefix_tree
from hf_ntg.models.baselines import make_baseline


@pytest.fixture(scope="module", params=["tiny_gpt2", "tiny_mamba"])
def generator(request):
    return FlowGenerator.from_pretrained(request.getfixturevalue(request.param))


def test_flows_are_in_the_schema_with_the_asked_counts(generator):
    wanted = {"web": 17, "a chat & more": 5, "dns": 0}
    made = conform_flows(generator.generate(label=wanted), "generated")
    assert Counter(made["label"]) == Counter({"web": 17, "a chat & more": 5})
    assert all(made.features[name] == FLOW_FEATURES[name] for name in made.column_names)
    assert len(set(made["flow_id"])) == 22
    assert max(map(len, made["payload_length"])) <= 6
    assert all(times[0] == 0 for times in made["inter_arrival_time"])


def test_mix_without_a_label_is_that_of_the_training_flows(generator, flows):
    seen, _ = flows_in_view(flows, generator.sampler.view)
    made = Counter(generator.generate(2 * len(seen))["label"])
    assert made == Counter({label: 2 * count for label, count in Counter(seen.label).items()})


def test_same_seed_same_flows_whatever_the_blocks(generator, monkeypatch):
    whole = generator.generate(60, seed=3)
    assert whole.to_dict() == generator.generate(60, seed=3).to_dict()
    assert whole["payload_length"] != generator.generate(60, seed=4)["payload_length"]
    monkeypatch.setattr(type(generator.sampler), "block_size", 25)
    blocks = list(generator.stream(60, seed=3))
    assert [len(block) for block in blocks] == [25, 25, 10]
    assert concatenate_datasets(blocks).to_dict() == whole.to_dict()


def test_processes_make_the_same_flows(tiny_gpt2, monkeypatch):
    generator = FlowGenerator.from_pretrained(tiny_gpt2)
    monkeypatch.setattr(type(generator.sampler), "block_size", 25)
    spread = list(generator.stream(60, seed=3, num_proc=2))
    assert [len(block) for block in spread] == [25, 25, 10]
    assert concatenate_datasets(spread).to_dict() == generator.generate(60, seed=3).to_dict()


def test_threads_and_rounding_do_not_change_the_flows(generator, monkeypatch):
    whole = generator.generate(400, seed=3).to_dict()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert generator.generate(400, seed=3).to_dict() == whole
    finally:
        torch.set_num_threads(before)
    # Other rounding: what every flow would be if all were decided in float64.
    monkeypatch.setattr(prefix_tree, "MARGIN", 2.0)
    assert generator.generate(400, seed=3).to_dict() == whole


def test_low_temperature_leaves_the_likeliest_flow(generator):
    made = generator.generate(20, "web", temperature=1e-6)
    assert len({tuple(row) for row in made["payload_length"]}) == 1


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"num_flows": 3, "label": "mail"}, "'mail'"),
        ({"num_flows": 3, "label": {"web": 2}}, "add up to 2"),
        ({}, "how many"),
        ({"num_flows": -1}, "a whole number from 0"),
        ({"num_flows": 3, "num_proc": 0}, "num_proc"),
        ({"num_flows": 3, "temperature": 0.0}, "temperature"),
        ({"num_flows": 3, "num_inference_steps": 5}, "it takes temperature"),
    ],
)
def test_request_that_cannot_be_met_is_refused(generator, request_, said):
    with pytest.raises(InputError, match=said):
        generator.generate(**request_)


def test_shares_are_rounded_by_largest_remainder():
    counts = class_counts(10, None, ["a", "b", "c"], np.array([1.0, 1.0, 1.0]))
    assert counts.sum() == 10
    assert counts.max() - counts.min() == 1


def test_no_flows_is_an_empty_table(generator):
    assert len(generator.generate(0)) == 0


def test_folder_that_is_none_of_ours_is_named(tmp_path):
    with pytest.raises(InputError, match="no model of hf_ntg"):
        FlowGenerator.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        FlowGenerator.from_pretrained(tmp_path / "gone")


def test_interrupted_download_is_one_clear_line(tiny_gpt2, tmp_path):
    for file in tiny_gpt2.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged or incomplete") as caught:
        FlowGenerator.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match="damaged or incomplete"):
        FlowGenerator.from_pretrained(tmp_path)


def test_device_that_is_not_there(generator):
    with pytest.raises(InputError, match="device cuda:77: not available here"):
        FlowGenerator.from_pretrained(generator.source, device="cuda:77")
    assert FlowGenerator.from_pretrained(generator.source).device.type == "cpu"


@pytest.mark.parametrize("family", ["tiny_gpt2", "tiny_unet"])
def test_a_saved_copy_makes_the_same_flows_and_keeps_the_record(family, request, tmp_path):
    generator = FlowGenerator.from_pretrained(request.getfixturevalue(family))
    copy = FlowGenerator.from_pretrained(generator.save_pretrained(tmp_path / "new" / "copy"))
    assert copy.generate(20, seed=1).to_dict() == generator.generate(20, seed=1).to_dict()
    assert copy.training_run == generator.training_run != {}
    assert not [path for path in (tmp_path / "new" / "copy").iterdir() if path.name.startswith(".")]


def test_times_may_be_left_out(tiny_gpt2):
    generator = FlowGenerator.from_pretrained(tiny_gpt2)
    timed, bare = generator.generate(20, seed=1), generator.generate(20, seed=1, times=False)
    assert "inter_arrival_time" not in bare.column_names
    assert bare["payload_length"][:] == timed["payload_length"][:]
    with pytest.raises(InputError, match="give True or False"):
        generator.generate(20, times="no")


def test_a_baseline_is_saved_as_models_are(flows, tmp_path):
    generator = FlowGenerator(make_baseline("4-gram").fit(flows))
    copy = FlowGenerator.from_pretrained(generator.save_pretrained(tmp_path))
    assert copy.generate(20, seed=1).to_dict() == generator.generate(20, seed=1).to_dict()
    assert "model: 4-gram" in repr(copy)
    assert copy.training_run == {}


def test_it_says_what_it_is(generator):
    shown = repr(generator)
    for part in (f"model: {generator.sampler.name} from", "classes: 3 (", "up to 6", "'payload'", "2 epochs"):
        assert part in shown


def test_training_returns_the_generator(flows, tmp_path):
    settings = {"epochs": 1, "max_packets": 3, "checkpoint_every": 0}
    generator = train(flows, TrainingConfig(output_dir=str(tmp_path), **settings))
    assert len(generator.generate(3)) == 3
    assert generator.to("cpu") is generator
    assert len(generator.training_run["history"]) == 1
