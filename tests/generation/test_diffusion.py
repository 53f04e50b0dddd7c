from collections import Counter

import pytest
from datasets import Dataset

from hf_ntg import FlowGenerator, TrainingConfig, train
from hf_ntg.errors import InputError
from hf_ntg.flows import conform_flows
from hf_ntg.models.schedulers import SCHEDULERS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A diffusion model after one epoch, of flows of 1 to 12 packets, some without a label."""
    rows = {
        "label": [("web", "mail", None)[k % 3] for k in range(48)],
        "payload_length": [[0, 517, 1200, 90][: 1 + k % 4] * (1 + k % 3) for k in range(48)],
        "direction": [[1, 1, -1, -1][: 1 + k % 4] * (1 + k % 3) for k in range(48)],
    }
    folder = tmp_path_factory.mktemp("unet")
    flows = conform_flows(Dataset.from_dict(rows), "made flows")
    train(flows, TrainingConfig.recipe("unet", output_dir=str(folder), epochs=1, max_packets=7, checkpoint_every=0))
    return folder


def test_it_serves_flows_as_every_generator(model):
    generator = FlowGenerator.from_pretrained(model)
    flows = generator.generate(label={"web": 5, "mail": 2}, seed=4)
    assert Counter(flows["label"]) == {"web": 5, "mail": 2}
    assert max(map(len, flows["payload_length"])) <= 7
    assert generator.generate(label={"web": 5, "mail": 2}, seed=4).to_dict() == flows.to_dict()
    assert generator.generate(label={"web": 5, "mail": 2}, seed=5).to_dict() != flows.to_dict()
    assert len(generator.generate(30, num_inference_steps=2, guidance_scale=2.0)) == 30
    with pytest.raises(InputError, match="ftp"):
        generator.generate(3, label="ftp")


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_by_name(model, name):
    generator = FlowGenerator.from_pretrained(model)
    own = generator.generate(200, seed=2, num_inference_steps=6)
    made = generator.generate(200, seed=2, num_inference_steps=6, scheduler=name)
    assert (made.to_dict() == own.to_dict()) == (name == "dpm-solver++")
    assert generator.generate(200, seed=2, num_inference_steps=6).to_dict() == own.to_dict(), "its own is still there"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"scheduler": "euler"}, "choose one of dpm-solver"), ({"temperature": 0.5}, "temperature: this kind of model")],
)
def test_options_that_it_does_not_have(model, options, said):
    with pytest.raises(InputError, match=said):
        FlowGenerator.from_pretrained(model).generate(3, **options)


@pytest.mark.slow
def test_two_processes_draw_what_one_draws(model):
    generator = FlowGenerator.from_pretrained(model)
    number = generator.block_size + 9
    alone = generator.generate(number, seed=1)
    assert generator.generate(number, seed=1, num_proc=2).to_dict() == alone.to_dict()
