import errno
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
import typer.main
from command_line import run
from safetensors import SafetensorError

import hf_ntg
from hf_ntg import TrainingConfig, cli, load_flows
from hf_ntg.flows import save_flows
from hf_ntg.generation import FlowGenerator
from hf_ntg.generation.causal import CausalSampler
from hf_ntg.models.schedulers import SCHEDULERS


def test_import_and_help_and_reading_flows_leave_torch_alone(flows, tmp_path):
    path = save_flows(flows, tmp_path / "flows.parquet")
    checks = [
        "import hf_ntg, sys; assert 'torch' not in sys.modules and 'datasets' not in sys.modules",
        f"import hf_ntg, sys; hf_ntg.load_flows({str(path)!r}); assert 'torch' not in sys.modules",
        "import sys; sys.argv = ['ntg', '--help']\nfrom hf_ntg import cli\ntry: cli.main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'datasets' not in sys.modules",
    ]
    for check in checks:
        subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


def test_every_command_has_an_example(monkeypatch, capsys):
    for command in cli.app.registered_commands:
        name = command.name or command.callback.__name__
        status, out, _ = run(monkeypatch, capsys, name, "--help")
        assert status == 0
        assert f"Example: ntg {name}" in " ".join(out.split()), name


def test_split_train_generate_like(flows, tmp_path, monkeypatch, capsys):
    table = save_flows(flows, tmp_path / "flows.parquet")
    assert run(monkeypatch, capsys, "split", table, "--by", "capture", "--output", tmp_path / "parts")[0] == 0
    training = tmp_path / "parts" / "train.parquet"
    options = ("--epochs", 1, "--max-packets", 4, "--validation-share", 0)
    status, out, _ = run(monkeypatch, capsys, "train", training, "--output", tmp_path / "model", *options)
    assert status == 0
    assert "processes 1" in out
    for suffix in ("parquet", "jsonl", "csv", "pcap", "pcapng"):
        made = tmp_path / f"new.{suffix}"
        assert run(monkeypatch, capsys, "generate", tmp_path / "model", "--like", training, "--output", made)[0] == 0
        assert made.stat().st_size > 0
    new, real = load_flows(tmp_path / "new.parquet"), load_flows(training)
    assert sorted(new["label"]) == sorted(real["label"])


def test_generate_leaves_the_shards_of_its_share(tiny_gpt2, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(CausalSampler, "block_size", 20)
    words = ("generate", tiny_gpt2, "--num-flows", 50, "--label", "web", "--num-shards", 2, "--output", tmp_path)
    for share in ("1/2", "0/2"):
        status, out, _ = run(monkeypatch, capsys, *words, "--shard", share)
        assert (status, out) == (0, f"{tmp_path}: 1 files of process {share[0]} of 2\n")
    assert len(load_flows(tmp_path)) == 50


@pytest.fixture
def busy_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_bad_input_is_one_line_and_exit_2(flows, tiny_gpt2, busy_port, tmp_path, monkeypatch, capsys):
    table = save_flows(flows, tmp_path / "flows.parquet")
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "model").mkdir()
    flows.remove_columns("direction").to_parquet(tmp_path / "undirected.parquet")
    out = ("--output", tmp_path / "out.parquet")
    tries = [
        ("train", tmp_path / "gone.parquet", "--output", tmp_path / "m"),
        ("train", tmp_path / "empty.parquet", "--output", tmp_path / "m"),
        ("train", tmp_path / "undirected.parquet", "--output", tmp_path / "m"),
        ("train", table, "--model", "rnn", "--output", tmp_path / "m"),
        ("split", table, "--by", "day", "--output", tmp_path / "m"),
        ("generate", tmp_path / "model", "--num-flows", 5, *out),
        ("generate", tiny_gpt2, "--num-flows", 5, "--label", "mail", *out),
        ("generate", tiny_gpt2, *out),
        ("generate", tiny_gpt2, "--num-flows", 5, "--output", tmp_path / "out.txt"),
        ("generate", tiny_gpt2, "--num-flows", 5, "--like", table, *out),
        ("generate", tiny_gpt2, "--num-flows", 5, "--num-shards", 2, "--shard", "2/2", *out),
        ("generate", tiny_gpt2, "--num-flows", 5, "--num-shards", 2, "--output", table),
        ("generate", tiny_gpt2, "--num-flows", 5, "--seed", -1, *out),
        ("generate", tiny_gpt2, "--num-flows", 5, "--temperature", "nan", *out),
        ("generate", tiny_gpt2, "--num-flows", "many", *out),
        ("generate", tiny_gpt2, "--num-flows", 5, "--scheduler", "euler", *out),
        ("generate", tiny_gpt2, "--num-flows", 5, "--steps", 5, "--num-shards", 2, "--output", tmp_path / "m"),
        ("generate", tiny_gpt2, "--num-flows", 5, "--output", table / "out.parquet"),
        ("generate", tiny_gpt2, "--num-flows", 5, "--output", tmp_path / ("n" * 300 + ".parquet")),
        ("train", table, "--output", table),
        ("train", table, "--output", tmp_path / "m", "--epohs", 3),
        ("train", table, "--output", tmp_path / "m", "--learning-rate", "inf"),
        ("train", table, "--output", tmp_path / "m", "--epochs", 2**70),
        ("tarin", table),
        ("demo", "--port", 70_000),
        ("demo", "--port", busy_port),
        ("split", table, "--quiet", "--verbose", "--output", tmp_path / "m"),
    ]
    before = sorted(tmp_path.rglob("*"))
    for words in tries:
        status, printed, said = run(monkeypatch, capsys, *words)
        lines = [line for line in said.splitlines() if line.startswith("ntg: ")]
        assert (status, printed, len(lines)) == (2, "", 1), (words, said)
    assert sorted(tmp_path.rglob("*")) == before


def test_every_number_on_the_command_line_has_a_range():
    for name, command in typer.main.get_command(cli.app).commands.items():
        for option in command.params:
            kind = getattr(getattr(option, "type", None), "name", "")
            assert kind not in ("integer", "float", "int"), f"{name} {option.name}"


def test_results_as_json_in_place_of_lines(flows, tmp_path, monkeypatch, capsys):
    table = save_flows(flows, tmp_path / "flows.parquet")
    status, out, said = run(monkeypatch, capsys, "split", table, "--output", tmp_path, "--json", "--quiet")
    found = json.loads(out)
    assert (status, said, found["command"], found["exit_code"]) == (0, "", "split", 0)
    assert [result["flows"] for result in found["results"]] == [192, 48]
    status, out, said = run(monkeypatch, capsys, "--json", "split", tmp_path / "gone.parquet", "--output", tmp_path)
    assert (status, json.loads(out)["exit_code"]) == (2, 2)
    assert said == f"ntg: {json.loads(out)['error']}\n"
    status, out, _ = run(monkeypatch, capsys, "split", table, "--output", tmp_path)
    assert out.startswith(str(tmp_path / "train.parquet"))


def test_version_and_help_of_recipes(monkeypatch, capsys):
    assert run(monkeypatch, capsys, "--version")[:2] == (0, f"ntg {hf_ntg.__version__}\n")
    monkeypatch.setenv("COLUMNS", "200")
    said = " ".join(run(monkeypatch, capsys, "train", "--help")[1].split())
    assert f"llama {TrainingConfig.recipe('llama').epochs}" in said
    said = " ".join(run(monkeypatch, capsys, "generate", "--help")[1].split())
    assert all(name in said for name in SCHEDULERS)


def test_machine_trouble_is_one_line(tiny_gpt2, tmp_path, monkeypatch, capsys):
    words = ("generate", tiny_gpt2, "--num-flows", 5, "--output", tmp_path / "out.parquet")
    for error in (OSError(errno.ENOSPC, "No space left on device"), MemoryError(), SafetensorError("(os error 28)")):

        def fails(*_, error=error, **options):
            raise error

        monkeypatch.setattr(FlowGenerator, "stream", fails)
        status, out, said = run(monkeypatch, capsys, *words)
        assert (status, out) == (2, ""), said
        assert said.splitlines()[-1].startswith("ntg: "), said
    assert not list(tmp_path.iterdir())


def test_interruption_is_one_line_that_says_what_is_kept(tiny_gpt2, tmp_path, monkeypatch, capsys):
    def stops(*_, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        yield from ()

    monkeypatch.setattr(FlowGenerator, "stream", stops)
    words = ("generate", tiny_gpt2, "--num-flows", 5, "--output", tmp_path / "out.parquet")
    status, _, said = run(monkeypatch, capsys, *words)
    last = "ntg: interrupted; nothing was written; give the same command to start again"
    assert (status, said.splitlines()[-1]) == (143, last)


def test_a_causal_model_adds_its_likelihoods_to_the_report(flows, tiny_gpt2, tmp_path, monkeypatch, capsys):
    paths = {
        "train": save_flows(flows.select(range(160)), tmp_path / "train.parquet"),
        "test": save_flows(flows.select(range(160, 240)), tmp_path / "test.parquet"),
    }
    paths["synthetic"] = paths["train"]
    words = [word for name, path in paths.items() for word in (f"--{name}", path)]
    status, out, said = run(monkeypatch, capsys, "evaluate", *words, "--model", tiny_gpt2, "--output", tmp_path / "r")
    assert status == 0, said
    assert "Membership inference by likelihood" in out
