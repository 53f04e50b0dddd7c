import copy
import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from made_flows import table
from safetensors.torch import load_file

from hf_ntg import FlowGenerator, InputError, TrainingConfig
from hf_ntg.errors import Interrupted
from hf_ntg.files import lock_folder
from hf_ntg.models import CAUSAL_FAMILIES
from hf_ntg.models.structured_embedding import stock_state
from hf_ntg.training import loop, train
from hf_ntg.training.objective_causal import CausalObjective

SMALL = {"max_packets": 5, "batch_size": 32, "validation_share": 0.2, "checkpoint_every": 1, "epochs": 3}


def weights(folder):
    return load_file(folder / "model.safetensors")


def assert_same_weights(one, other, **tolerance):
    for name, weight in weights(one).items():
        torch.testing.assert_close(weights(other)[name], weight, msg=name, **tolerance)


def test_loss_falls_and_the_folder_is_whole(flows, tmp_path):
    result = train(flows, TrainingConfig(output_dir=str(tmp_path), **SMALL))
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.history[-1]["validation_loss"] < result.history[0]["validation_loss"]
    assert not (tmp_path / "checkpoints").exists()
    assert TrainingConfig.load(tmp_path) == TrainingConfig(**SMALL)
    saved = json.loads((tmp_path / "training_config.json").read_text())
    assert str(tmp_path) not in json.dumps(saved)


def test_same_seed_same_model(flows, tmp_path):
    for name in ("one", "two"):
        train(flows, TrainingConfig(output_dir=str(tmp_path / name), **SMALL))
    assert_same_weights(tmp_path / "one", tmp_path / "two", atol=0, rtol=0)


def test_short_flows_count_as_much_as_long_ones(tmp_path):
    query, session = ("mixed", ["+40", "-90"]), ("mixed", ["+0", "-0", "+0", "+517", "-1460", "-1200", "+80", "+0"])
    flows = table(*[query, session] * 300, protocol=[17, 6] * 300, destination_port=[53, 443] * 300)
    train(flows, TrainingConfig(output_dir=str(tmp_path), epochs=4, batch_size=32, max_packets=8))
    drawn = FlowGenerator.from_pretrained(tmp_path).generate(2_000, seed=0)
    assert sum(protocol == 17 for protocol in drawn["protocol"]) / 2_000 == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("family", ["gpt2", pytest.param("mamba", marks=pytest.mark.slow)])
def test_killed_run_resumes_to_the_same_model(flows, tmp_path, monkeypatch, family):
    config = {"model": family, **SMALL, "epochs": 4}
    whole = train(flows, TrainingConfig(output_dir=str(tmp_path / "whole"), **config))
    run_epoch = loop._run_epoch

    def killed(*args):
        if args[4] == 2:
            raise KeyboardInterrupt
        return run_epoch(*args)

    monkeypatch.setattr(loop, "_run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train(flows, TrainingConfig(output_dir=str(tmp_path / "cut"), **config))
    monkeypatch.setattr(loop, "_run_epoch", run_epoch)
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    resumed = train(flows, TrainingConfig(output_dir=str(tmp_path / "cut"), **config))
    assert resumed.history == whole.history
    assert_same_weights(tmp_path / "whole", tmp_path / "cut", atol=0, rtol=0)


def settings(folder, **changes):
    return TrainingConfig(**{"output_dir": str(folder), **SMALL, "epochs": 2} | changes)


def killed_after(epochs, monkeypatch):
    """Let the next training be interrupted after so many epochs."""
    run_epoch = loop._run_epoch

    def killed(*args):
        if args[4] == epochs:
            monkeypatch.setattr(loop, "_run_epoch", run_epoch)
            raise KeyboardInterrupt
        return run_epoch(*args)

    monkeypatch.setattr(loop, "_run_epoch", killed)


def test_interruption_says_what_is_kept_and_a_changed_run_is_refused(flows, tmp_path, monkeypatch):
    killed_after(1, monkeypatch)
    with pytest.raises(Interrupted, match="checkpoint of epoch 1 is kept; the same command goes on"):
        train(flows, settings(tmp_path))
    assert [path.name for path in tmp_path.rglob("*") if "pkl" in path.name or "pt" in path.suffix] == []
    for changes, said in (({"learning_rate": 1e-4}, r"learning_rate 0.0001 \(was"), ({"seed": 1}, "seed 1")):
        with pytest.raises(InputError, match=said):
            train(flows, settings(tmp_path, **changes))
    with pytest.raises(InputError, match="the flows"):
        train(flows.select(range(100)), settings(tmp_path))
    assert train(flows, settings(tmp_path, learning_rate=1e-4, resume=False)).trained
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_without_a_checkpoint_leaves_nothing_to_refuse(flows, tmp_path, monkeypatch):
    killed_after(0, monkeypatch)
    with pytest.raises(Interrupted, match="starts again"):
        train(flows, settings(tmp_path))
    assert len(train(flows, settings(tmp_path, seed=3)).history) == 2


def test_a_finished_run_is_not_repeated_and_another_is_refused(flows, tmp_path):
    first = train(flows, settings(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = train(flows, settings(tmp_path))
    assert (again.trained, again.history) == (False, first.history)
    with pytest.raises(InputError, match=r"model of another run: seed 1 \(was 0\).*--overwrite"):
        train(flows, settings(tmp_path, seed=1))
    with pytest.raises(InputError, match="another run"):
        train(flows, settings(tmp_path, model="unet"))
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_overwriting_leaves_no_file_of_the_other_family(flows, tmp_path):
    train(flows, settings(tmp_path, epochs=1))
    train(flows, settings(tmp_path, epochs=1, model="unet", overwrite=True))
    assert not (tmp_path / "flow_grammar.json").exists()
    assert len(FlowGenerator.from_pretrained(tmp_path).generate(3)) == 3
    train(flows, settings(tmp_path, epochs=1, overwrite=True))
    assert not (tmp_path / "unet").exists()
    assert len(FlowGenerator.from_pretrained(tmp_path).generate(3)) == 3


@pytest.mark.parametrize("wrong", ["rate", "flows"])
def test_a_run_that_fails_leaves_the_model_as_it_was(flows, tmp_path, wrong):
    train(flows, settings(tmp_path, epochs=1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changes = {"overwrite": True, "epochs": 40} | (
        {"learning_rate": 1e3, "max_grad_norm": 1e6} if wrong == "rate" else {}
    )
    said = r"training stopped at step \d+ .* try a lower" if wrong == "rate" else "no flows"
    with pytest.raises(InputError, match=said):
        train(flows if wrong == "rate" else flows.select([]), settings(tmp_path, **changes))
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_folder_with_other_files_is_refused(flows, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis.txt, no part of a model"):
        train(flows, settings(tmp_path, overwrite=True))
    (tmp_path / "thesis.txt").unlink()
    (tmp_path / "checkpoints" / "epoch-1").mkdir(parents=True)
    (tmp_path / "checkpoints" / "epoch-1" / "custom_checkpoint_0.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InputError, match="no part of a model"):
        train(flows, settings(tmp_path))


def test_a_model_half_in_place_is_completed(flows, tmp_path, monkeypatch):
    train(flows, settings(tmp_path / "whole", epochs=1, model="unet"))
    train(flows, settings(tmp_path / "cut", epochs=1))
    replace = Path.replace

    def dies(self, target):
        if self.parts[-2] == "unet" and Path(target).parts[-2:] == ("unet", "config.json"):
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        train(flows, settings(tmp_path / "cut", epochs=1, model="unet", overwrite=True))
    monkeypatch.setattr(Path, "replace", replace)
    assert not train(flows, settings(tmp_path / "cut", epochs=1, model="unet")).trained
    names = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}
    assert names == {path.relative_to(tmp_path / "cut") for path in (tmp_path / "cut").rglob("*")}
    weights_file = Path("unet") / "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "whole" / weights_file).read_bytes() == (tmp_path / "cut" / weights_file).read_bytes()


def test_two_runs_in_one_folder_are_kept_apart(flows, tmp_path):
    with lock_folder(tmp_path), pytest.raises(InputError, match="another process"):
        train(flows, settings(tmp_path))


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_bfloat16_learns_what_float32_learns(flows, tmp_path, family):
    settings = {"model": family, "epochs": 1, "max_packets": 4, "dropout": 0.0, "checkpoint_every": 0}
    losses = {
        precision: train(
            flows, TrainingConfig(output_dir=str(tmp_path / precision), mixed_precision=precision, **settings)
        ).history[-1]["loss"]
        for precision in ("no", "bf16")
    }
    assert losses["bf16"] == pytest.approx(losses["no"], rel=0.02)
    assert losses["bf16"] != losses["no"]


def test_best_weights_are_kept(flows, tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0] * 2)
    monkeypatch.setattr(CausalObjective, "validation_loss", lambda *_: next(losses))
    train(flows, TrainingConfig(output_dir=str(tmp_path / "best"), keep="best", **SMALL))
    train(flows, TrainingConfig(output_dir=str(tmp_path / "last"), keep="last", **SMALL))
    config = TrainingConfig(output_dir=str(tmp_path / "second"), keep="last", **SMALL)
    run_epoch, saved = loop._run_epoch, {}

    def watched(objective, state, *rest):
        loss = run_epoch(objective, state, *rest)
        saved[len(saved)] = copy.deepcopy(stock_state(state.average.module.model))
        return loss

    monkeypatch.setattr(loop, "_run_epoch", watched)
    monkeypatch.setattr(CausalObjective, "validation_loss", lambda *_: 0.0)
    train(flows, config)
    for name, weight in weights(tmp_path / "best").items():
        assert torch.equal(weight, saved[1][name])
    for name, weight in weights(tmp_path / "last").items():
        assert torch.equal(weight, saved[2][name])


def test_best_without_validation_is_refused(flows, tmp_path):
    with pytest.raises(InputError, match="validate"):
        train(flows, TrainingConfig(output_dir=str(tmp_path), validation_share=0, keep="best"))


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="TensorBoard is installed")
def test_tracker_that_is_not_installed_is_named_with_its_remedy(flows, tmp_path):
    with pytest.raises(InputError, match=r"pip install 'hf-ntg\[tensorboard\]'"):
        train(flows, TrainingConfig(output_dir=str(tmp_path), tracker="tensorboard", **SMALL))


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "rnn"},
        {"epochs": 0},
        {"dropout": 1.0},
        {"mixed_precision": "int4"},
        {"tracker": "mlflow"},
        {"learning_rate": math.nan},
        {"max_grad_norm": math.inf},
        {"seed": -1},
        {"max_packets": 10**9},
        {"batch_size": 1.5},
        {"warmup": "much"},
        {"times": 1},
    ],
)
def test_setting_out_of_range_is_named(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainingConfig(**wrong)


@pytest.mark.slow
def test_two_ranks_make_the_model_of_one(flows, tmp_path):
    """Two processes over gloo at the same global batch; no dropout, whose draws differ from rank to rank."""
    flows.to_parquet(tmp_path / "flows.parquet")
    options = [
        "--epochs",
        "2",
        "--batch-size",
        "34",  # of 171 flows: the last batch has one, and leaves a rank without
        "--max-packets",
        "5",
        "--dropout",
        "0",
        "--validation-share",
        "0.2",
        "--checkpoint-every",
        "0",
    ]
    command = [str(tmp_path / "flows.parquet"), *options, "--output"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    runs = {
        "one": [sys.executable, "-m", "hf_ntg.train", *command, str(tmp_path / "one")],
        "two": [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone",
                "-m", "hf_ntg.train", *command, str(tmp_path / "two")],
    }  # fmt: skip
    said = {}
    for name, run in runs.items():
        done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        said[name] = done.stdout
    assert "processes 1" in said["one"]
    assert said["two"].count("processes 2") == 1
    assert_same_weights(tmp_path / "one", tmp_path / "two", atol=2e-4, rtol=1e-3)


def test_a_limit_of_memory_ends_the_run(flows, tmp_path):
    settings = {**SMALL, "validation_share": 0.0, "epochs": 4}
    for limit, epochs in ((None, 4), (1.0, 4), (-1.0, 1)):
        folder = tmp_path / str(limit)
        result = train(flows, TrainingConfig(output_dir=str(folder), max_memory=limit, **settings))
        assert len(result.history) == epochs
        assert json.loads((folder / "training_run.json").read_text())["epochs"] == epochs
        assert ("memory_excess" in result.history[0]) == (limit is not None)


def test_flows_of_which_none_occurs_twice_are_learned_for_all_epochs(tmp_path):
    flows = table(*[("web", [f"+{length}", f"-{1000 - length}", "+7"]) for length in range(1, 41)])
    config = TrainingConfig(
        output_dir=str(tmp_path / "m"), max_memory=0.0, **{**SMALL, "validation_share": 0.0, "epochs": 3}
    )
    assert len(train(flows, config).history) == 3
