"""The axis of differential privacy: what its generators see, and the guarantee that its rows state."""

import pytest
from small_flows import make_flows

from hf_ntg import InputError
from hf_ntg.flows import save_flows
from hf_ntg.flows.view import flows_in_view
from hf_ntg.study import run as running
from hf_ntg.study.axes import bench
from hf_ntg.study.plan import Profile, plan_runs, privacy_model
from hf_ntg.study.run import run_study
from hf_ntg.study.store import ResultStore

TINY = Profile(
    by=("random",),
    seeds=(0,),
    max_packets=4,
    training={"epochs": 1, "checkpoint_every": 0, "max_payload": 300, "width": 16, "layers": 1},
    private_training={"max_steps": 2, "max_payload": 300, "width": 16, "layers": 1},
    privacy_models=("2-gram", "private-n-gram", "gpt2-from-public", "gpt2-from-counts"),
    epsilons=("none", 8.0),
)
TABLE = set(make_flows(num_flows=1).column_names)


@pytest.fixture
def sources(tmp_path):
    return [str(save_flows(make_flows(seed=seed), tmp_path / f"{name}.parquet")) for seed, name in enumerate("ab")]


def test_rows_state_the_guarantee_and_generators_see_packets_alone(sources, tmp_path, monkeypatch):
    pytest.importorskip("opacus")
    seen, fit = [], bench.fit_generator

    def watching(model, flows, config, *rest):
        seen.append((model, len(flows), set(flows.column_names), config))
        fit(model, flows, config, *rest)

    monkeypatch.setattr(bench, "fit_generator", watching)
    output, one_table = tmp_path / "study", plan_runs(TINY, ["a"], ("privacy",))
    monkeypatch.setattr(running, "plan_runs", lambda profile, *_: plan_runs(profile, ["a", "b"], ("privacy",))[:5])
    assert run_study(sources, output, TINY, axes=("privacy",), say=lambda line: None) == []
    rows = {(row["model"], row["start"]): row for row in ResultStore(output).gather()}
    assert {key: row["epsilon"] for key, row in rows.items()} == {
        ("real", "fresh"): "none",
        ("2-gram", "fresh"): "none",
        ("private-n-gram", "fresh"): 8.0,
        ("gpt2", "public"): 8.0,
        ("gpt2", "counts"): 8.0,
    }
    assert not [run for run in one_table if run["start"] == "public"], "a single table has no public one"
    guarantees = {key: (row["details"].get("privacy") or {}).get("epsilon") for key, row in rows.items()}
    assert guarantees == {key: None if row["epsilon"] == "none" else 8.0 for key, row in rows.items()}
    (public,) = [(count, config) for _, count, _, config in seen if count > 200]
    assert public[0] == len(flows_in_view(make_flows(seed=1), "payload")[0]), "all flows of the public table"
    assert public[1].epsilon is None
    (private,) = [config for *_, config in seen if config is not None and config.epsilon is not None]
    assert private.initial_model is not None
    assert (private.width, private.layers) == (16, 1)
    for _, _, columns, _ in seen:
        assert columns & TABLE == {"label", "payload_length", "direction"}
    assert [path.name.split("-")[:2] for path in (output / "models").iterdir()] == [["b", "public"]]


def test_names_of_private_models():
    assert privacy_model("gpt2-from-counts") == ("gpt2", "counts")
    assert privacy_model("private-n-gram") == ("private-n-gram", "fresh")
    for name in ("gpt2-from-luck", "4-gram-from-public"):
        with pytest.raises(InputError, match="gpt2-from-public"):
            privacy_model(name)


def test_without_opacus_only_counting_is_private(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    monkeypatch.setattr(running, "_work", lambda *_: [])
    said, planned = [], []
    monkeypatch.setattr(running, "_write_plan", lambda output, runs, *_: planned.extend(runs))
    run_study(sources, tmp_path / "study", TINY, axes=("privacy",), say=said.append)
    assert "pip install 'hf-ntg[private]'" in said[0]
    assert {run.model for run in planned} == {"real", "2-gram", "private-n-gram"}
