import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from diffusers import DPMSolverMultistepScheduler
from safetensors.numpy import load_file, save_file

from hf_ntg import InputError
from hf_ntg.model_files import check_model_folder
from hf_ntg.model_files.diffusion import SCHEDULER_CLASSES
from hf_ntg.models.scheduler_names import SCHEDULER_NAMES
from hf_ntg.models.schedulers import SCHEDULERS


@pytest.fixture
def folder(tiny_gpt2, tmp_path):
    return shutil.copytree(tiny_gpt2, tmp_path / "model")


@pytest.fixture
def diffusion(tiny_unet, tmp_path):
    return shutil.copytree(tiny_unet, tmp_path / "diffusion")


def changed(path, **changes):
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | changes))


def test_what_training_saves_passes(tiny_gpt2, tiny_mamba, tiny_unet, flows, tmp_path):
    from hf_ntg import TrainingConfig, train

    train(flows, TrainingConfig(model="llama", output_dir=str(tmp_path), epochs=1, header=False, times=False))
    assert [check_model_folder(path) for path in (tiny_gpt2, tiny_mamba, tmp_path)] == ["causal"] * 3
    assert check_model_folder(tiny_unet) == "diffusion"


def test_checking_imports_no_library_of_models(tiny_unet):
    check = (
        "import sys; from pathlib import Path; from hf_ntg.model_files import check_model_folder\n"
        f"check_model_folder(Path({str(tiny_unet)!r}))\n"
        "assert not {'torch', 'transformers', 'diffusers', 'safetensors'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("config.json", {"n_layer": 10**6}, "n_layer"),
        ("config.json", {"n_layer": 0}, "n_layer"),
        ("config.json", {"n_layer": 3}, "no tensor of this model"),
        ("config.json", {"n_layer": 5}, "is missing"),
        ("config.json", {"vocab_size": 10**10}, "vocab_size"),
        ("config.json", {"n_positions": 15}, "n_positions"),
        ("config.json", {"n_head": 3}, "no multiple"),
        ("config.json", {"model_type": "bert"}, "model_type"),
        ("config.json", {"model_type": "llama"}, "has no 'hidden_size'"),
        ("config.json", {"auto_map": {"AutoConfig": "evil.Evil"}}, "auto_map"),
        ("config.json", {"attn_implementation": "evil/kernel"}, "attn_implementation"),
        ("config.json", {"activation_function": "evil"}, "activation_function"),
        ("config.json", {"eos_token_id": 5}, "eos_token_id"),
        ("flow_grammar.json", {"max_packets": 10**9}, "max_packets"),
        ("flow_grammar.json", {"ports": [53, 10**9]}, "ports"),
        ("flow_grammar.json", {"time_knots": [float("nan")] * 9}, "time_knots"),
        ("flow_grammar.json", {"label_counts": [0, 0, 0]}, "label_counts"),
        ("flow_grammar.json", {"labels": ["a", "a", "b"]}, "labels"),
        ("flow_grammar.json", {"labels": ["x", "y", "z"]}, "tokenizer"),
        ("tokenizer_config.json", {"tokenizer_class": "Evil"}, "tokenizer_class"),
        ("generation_config.json", {"top_k": -1}, "top_k"),
    ],
)
def test_what_a_causal_folder_cannot_hold_is_named(folder, name, changes, said):
    changed(folder / name, **changes)
    with pytest.raises(InputError, match=said) as caught:
        check_model_folder(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("model_index.json", {"unet": ["evil", "Evil"]}, "unet"),
        ("model_index.json", {"_class_name": "Evil"}, "_class_name"),
        ("model_index.json", {"num_inference_steps": 10**9}, "num_inference_steps"),
        ("model_index.json", {"text_encoder": ["transformers", "X"]}, "text_encoder"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**9}, "num_train_timesteps"),
        ("scheduler/scheduler_config.json", {"_class_name": "Evil"}, "no scheduler"),
        ("scheduler/scheduler_config.json", {"beta_end": float("nan")}, "beta_end"),
        ("processor/preprocessor_config.json", {"max_packets": 10**9}, "max_packets"),
        ("processor/preprocessor_config.json", {"max_packets": 7}, "damaged"),
        ("processor/preprocessor_config.json", {"symbols": []}, "word_counts"),
        ("unet/config.json", {"block_out_channels": [64]}, "the settings ask for"),
        ("unet/config.json", {"act_fn": "evil"}, "act_fn"),
    ],
)
def test_what_a_diffusion_folder_cannot_hold_is_named(diffusion, name, changes, said):
    changed(diffusion / name, **changes)
    with pytest.raises(InputError, match=said):
        check_model_folder(diffusion)


def test_weights_that_are_not_finite_or_of_another_type_are_refused(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = sorted(weights)[0]
    for change, said in ((np.full_like(weights[name], np.nan), "not finite"), (weights[name].astype("f2"), "F16")):
        save_file(weights | {name: change}, path)
        with pytest.raises(InputError, match=said):
            check_model_folder(folder)


def test_an_index_of_weights_elsewhere_is_refused(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../other.safetensors"}}')
    with pytest.raises(InputError, match=r"index\.json: not a file of an hf_ntg model"):
        check_model_folder(folder)


def test_scheduler_names_are_those_of_the_schedulers():
    assert tuple(SCHEDULERS) == SCHEDULER_NAMES


@pytest.mark.parametrize("name", SCHEDULER_CLASSES)
def test_every_scheduler_of_the_list_passes_with_its_own_defaults(diffusion, name):
    import diffusers

    kind = getattr(diffusers, name)
    own = DPMSolverMultistepScheduler.from_pretrained(diffusion / "scheduler").config
    kind.from_config(own).save_pretrained(diffusion / "scheduler")
    changed(diffusion / "model_index.json", scheduler=["diffusers", name])
    assert check_model_folder(diffusion) == "diffusion"
