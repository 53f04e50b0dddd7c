"""The benchmark of devices of scripts/benchmark_gpu.py, on the CPU: it measures everything, and the CPU is exact."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark_gpu

    yield benchmark_gpu
    for name in ("benchmark_gpu", "timing"):
        sys.modules.pop(name, None)


def test_every_row_is_measured_and_the_cpu_draws_what_it_draws(benchmark, flows, tiny_gpt2, tmp_path, capsys):
    table = str(tmp_path / "flows.parquet")
    flows.to_parquet(table)
    sizes = {"num-flows": 64, "compared": 32, "nodes": 16, "batches": 8, "steps": 1, "repeats": 1, "peak-size": 64}
    options = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    benchmark.main([str(tiny_gpt2), table, "--device", "cpu", *options])
    cells = [line.strip("| ").split(" | ", 1) for line in capsys.readouterr().out.splitlines()]
    rows = dict(row for row in cells if len(row) == 2)
    for name in ("generation, packets only", "generation, with times", "training step"):
        assert float(rows[name].split(" | ")[1].replace(",", "")) > 0
    for column in ("payload_length", "direction", "inter_arrival_time"):
        assert rows[f"flows with the CPU's {column}, of 32"] == "100.0000%"
    assert float(rows["nats between the log-likelihoods, at most, of 32 real flows"]) == 0
