"""Models on the Hub: pushed, and loaded by stock libraries, by FlowGenerator and by the diffusion pipeline."""

import json
import re

import pytest

from hf_ntg import FlowGenerator, InputError
from hf_ntg.hub import TrainingData, lay_out_model
from hf_ntg.hub.evaluation import HEADLINE


@pytest.fixture(scope="module")
def published(client, tiny_gpt2, report):
    """Id of the tiny GPT-2 on the Hub."""
    client.run(f"""
from hf_ntg import FlowGenerator
print(FlowGenerator.from_pretrained({str(tiny_gpt2)!r}).push_to_hub("org/ntg-tiny", report={str(report)!r}))
""")
    return "org/ntg-tiny"


def card_blocks(hub, kind, repo, language="python"):
    card = next(reversed(hub.repos[kind, repo].commits.values()))["README.md"].decode()
    return re.findall(rf"```{language}\n(.*?)```", card, flags=re.DOTALL)


def test_the_repository_is_one_commit_of_what_belongs_there(hub, published):
    repo = hub.repos["model", published]
    assert len(repo.commits) == 2  # the empty one that the Hub makes, and ours
    assert set(repo.at("main")[1]) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "evaluation.json",
        "flow_grammar.json",
        "generation_config.json",
        "model.safetensors",
        "packets.png",
        "tokenizer.json",
        "tokenizer_config.json",
        "training_config.json",
        "training_run.json",
    }
    assert b"/home/" not in repo.at("main")[1]["evaluation.json"]


def test_stock_transformers_loads_it_and_prints_a_flow(stock, published):
    printed = stock.run(f"""
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained({published!r}), AutoModelForCausalLM.from_pretrained({published!r})
torch.manual_seed(0)
print(tokenizer.decode(model.generate(**tokenizer("<web>", return_tensors="pt"))[0]))
""")
    assert printed.strip().startswith("<web>")
    assert len(printed.split()) > 2


def test_the_usage_examples_of_the_card_run(client, stock, hub, published):
    ours, plain = card_blocks(hub, "model", published)
    assert "a chat & more" in client.run(ours)
    assert "<a%20chat%20&%20more>" in stock.run(plain)


def test_flow_generator_draws_the_same_flows_as_from_the_folder(client, published, tiny_gpt2):
    assert (
        client.run(f"""
from hf_ntg import FlowGenerator
sets = [FlowGenerator.from_pretrained(one).generate(40, seed=1) for one in ({published!r}, {str(tiny_gpt2)!r})]
print(sets[0].to_dict() == sets[1].to_dict())
""")
        == "True\n"
    )


def test_the_cards_metadata_are_the_hubs(client, hub, published):
    printed = json.loads(
        client.run(f"""
import json
from huggingface_hub import ModelCard
card = ModelCard.load({published!r})
card.validate()
data = card.data
results = [(one.metric_type, one.metric_name, one.metric_value) for one in data.eval_results]
print(json.dumps([data.license, data.library_name, data.pipeline_tag, data.to_dict()["widget"], results]))
""")
    )
    evaluation = json.loads(hub.repos["model", published].at("main")[1]["evaluation.json"])
    license, library, task, widget, results = printed
    assert (license, library, task) == ("apache-2.0", "transformers", "text-generation")
    assert widget == [{"text": "<a%20chat%20&%20more>", "example_title": "a chat & more"}]
    values = {name: metric["values"]["synthetic"] for name, metric in evaluation["metrics"].items()}
    assert {kind: value for kind, _, value in results} == {
        kind: round(values[kind], 4) for kind in HEADLINE if values[kind] is not None
    }  # the model's own scores alone: those of real flows and of baselines are not the model's
    assert len(results) == len({kind for kind, *_ in results})


def test_the_diffusion_model_loads_from_an_id_without_remote_code(client, hub, tiny_unet):
    printed = client.run(f"""
from hf_ntg import FlowDiffusionPipeline, FlowGenerator
from hf_ntg.hub import Destination, publish_model
print(publish_model({str(tiny_unet)!r}, Destination("org/ntg-tiny-unet")).url)
pipeline = FlowDiffusionPipeline.from_pretrained("org/ntg-tiny-unet")
print(list(pipeline(class_labels=["web", "dns"], num_inference_steps=2).flows["label"]))
print(len(FlowGenerator.from_pretrained("org/ntg-tiny-unet").generate(5, num_inference_steps=2)))
""")
    assert printed.splitlines()[1:] == ["['web', 'dns']", "5"]
    ours, diffusers = card_blocks(hub, "model", "org/ntg-tiny-unet")
    assert "FlowDiffusionPipeline" in diffusers
    client.run(ours.replace("100", "4"))
    client.run(diffusers)


def test_a_card_names_data_settings_and_run(tiny_gpt2, tmp_path):
    data = TrainingData(
        "My lab", url="https://example.org", licence="CC0", split="by capture", commands=["ntg train x"]
    )
    folder = lay_out_model(tiny_gpt2, tmp_path / "new", "org/mine", license="cc0-1.0", trained_on=data)
    card = (folder / "README.md").read_text()
    run = json.loads((folder / "training_run.json").read_text())
    for said in (
        "license: cc0-1.0",
        "My lab (<https://example.org>)",
        "ntg train x",
        f"torch {run['environment']['torch']}",
    ):
        assert said in card
    assert "published without a report" in card
    assert "model-index" not in card


@pytest.mark.parametrize(("base", "on_hub"), [("org/base", True), (f"sha256:{'0' * 64}", False)])
def test_a_fine_tuned_model_names_its_base(tiny_gpt2, tmp_path, base, on_hub):
    model = FlowGenerator.from_pretrained(tiny_gpt2).save_pretrained(tmp_path / "model")
    run = json.loads((model / "training_run.json").read_text())
    run["identity"]["initial_model"] = base
    (model / "training_run.json").write_text(json.dumps(run))
    card = (lay_out_model(model, tmp_path / "new", "org/mine") / "README.md").read_text()
    assert ("base_model: org/base" in card) == ("base_model_relation: finetune" in card) == on_hub
    assert "Fine-tuned from" in card


def test_what_is_no_model_or_holds_more_is_refused(tiny_gpt2, synthetic, tmp_path):
    import shutil

    with pytest.raises(InputError, match="no model of hf_ntg"):
        lay_out_model(tmp_path, tmp_path / "a", "org/a")
    model = shutil.copytree(tiny_gpt2, tmp_path / "model")
    shutil.copy(synthetic, model / "train.parquet")
    (model / "secret.txt").symlink_to("/etc/passwd")
    with pytest.warns(UserWarning, match=r"secret\.txt, train\.parquet: no part of a model, and not published"):
        laid_out = lay_out_model(model, tmp_path / "b", "org/b")
    assert not {"train.parquet", "secret.txt"} & {path.name for path in laid_out.iterdir()}
    (model / "model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(InputError, match="not a safetensors file"):
        lay_out_model(model, tmp_path / "c", "org/c")
    with pytest.raises(InputError, match="there is something already"):
        lay_out_model(tiny_gpt2, model, "org/d")


def test_report_that_is_none_is_named(tiny_gpt2, tmp_path):
    for content, said in (("{}", "no report of"), ("[", "not JSON"), (None, "cannot be opened")):
        path = tmp_path / "report.json"
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        with pytest.raises(InputError, match=said):
            lay_out_model(tiny_gpt2, tmp_path / said.replace(" ", "-"), "org/a", report=path)
