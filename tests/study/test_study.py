"""A whole study, small enough for a test run."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from small_flows import make_flows

from hf_ntg import InputError
from hf_ntg.flows import save_flows
from hf_ntg.study.axes import JUDGES, bench
from hf_ntg.study.plan import AXES, Profile, plan_runs, shard_of
from hf_ntg.study.results.study_report import write_study
from hf_ntg.study.run import run_study
from hf_ntg.study.store import ResultStore, write_results

TINY = Profile(
    models=("gpt2", "unet", "2-gram"),
    by=("capture",),
    seeds=(0,),
    max_packets=4,
    training={"epochs": 1, "checkpoint_every": 0, "time_bins": 4, "max_payload": 300},
    times=(1, 2),
    classifiers=("random_forest",),
    shots=(3,),
    shot_seeds=(0,),
    shot_classifiers=("random_forest",),
    filled_to=6,
    shot_steps=1,
    shot_methods=("auto", "loss"),
    shot_models=("gpt2", "2-gram"),
    budgets=(1.0, 2.0),
    samplers=(("dpm-solver++", 1), ("flow-matching", 1)),
    privacy_models=("2-gram",),  # with a guarantee, no two runs are equal
)
COSTS = ("seconds", "peak_mib", "per_second", "per_cpu_second")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flows")
    return [str(save_flows(make_flows(seed=seed), folder / f"{name}.parquet")) for seed, name in enumerate(("a", "b"))]


@pytest.fixture(scope="module")
def whole(sources, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    assert run_study(sources[:1], output, TINY, say=lambda line: None) == []
    return output


def rows_of(output):
    """The results of a study but for what the machine says of itself, by identity."""
    rows = {}
    for row in ResultStore(output).gather():
        row.pop("made")
        measures = {name: value for name, value in row.pop("measures").items() if not name.endswith(COSTS)}
        rows[json.dumps({n: v for n, v in row.items() if n not in ("details", "notes")})] = [measures, row]
    return rows


def test_every_planned_run_is_there_once(whole):
    planned = plan_runs(TINY, ["a"])
    assert Counter(run.axis for run in planned) == Counter(row["axis"] for row in ResultStore(whole).gather())
    assert set(AXES) == {run.axis for run in planned}
    assert {json.dumps(run.identity()) for run in planned} == set(rows_of(whole))
    kept = sorted(path.name.rsplit("-", 1)[0] for path in (whole / "models").iterdir())
    assert kept == ["a-capture-s0-2-gram", "a-capture-s0-gpt2", "a-capture-s0-unet"]


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_rows(whole, sources, tmp_path, monkeypatch):
    done = []

    def dying(judge):
        def judged(run, on):
            if len(done) in (4, 13):
                done.append(None)
                raise KeyboardInterrupt
            done.append(run)
            return judge(run, on)

        return judged

    for axis, judge in list(JUDGES.items()):
        monkeypatch.setitem(JUDGES, axis, dying(judge))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_study(sources[:1], tmp_path, TINY, say=lambda line: None)
    assert run_study(sources[:1], tmp_path, TINY, say=lambda line: None) == []
    finished = [run for run in done if run is not None]
    assert len(finished) == len(set(finished)), "no run is done twice"
    assert rows_of(tmp_path) == rows_of(whole)


def test_a_study_goes_on_from_results_alone(whole, sources, tmp_path):
    write_results(ResultStore(whole).gather()[:-2], tmp_path / "results.jsonl")
    said = []
    assert run_study(sources[:1], tmp_path, TINY, say=said.append) == []
    planned = len(plan_runs(TINY, ["a"]))
    assert said[0] == f"{planned} runs planned, {planned} for this process, {planned - 2} of them done"
    assert len(list(tmp_path.glob("runs/*/*.json"))) == 2
    assert rows_of(tmp_path) == rows_of(whole)


def test_shards_share_the_work_and_keep_a_generator_together(sources, whole, tmp_path):
    planned = plan_runs(TINY, ["a", "b"])
    parts = [shard_of(planned, k, 3) for k in range(3)]
    assert sorted(str(run) for part in parts for run in part) == sorted(map(str, planned))
    full = [{(r.flows, r.model) for r in part if r.axis in AXES[:3]} for part in parts]
    assert not full[0] & full[1] | full[0] & full[2] | full[1] & full[2]
    with pytest.raises(InputError, match="shard 3/3"):
        shard_of(planned, 3, 3)
    lean = replace(TINY, models=("2-gram",))
    for k in range(2):
        run_study(sources[:1], tmp_path, lean, axes=("fidelity",), shard=(k, 2), say=lambda line: None)
    mine = rows_of(tmp_path)
    assert mine == {key: row for key, row in rows_of(whole).items() if key in mine}
    assert len(mine) == 2


def test_first_part_of_a_plan_touches_everything():
    planned = plan_runs(replace(TINY, seeds=(0, 1), by=("random", "capture")), ["a", "b"])
    seeds = [run.seed for run in planned]
    assert seeds == sorted(seeds)
    first = [run.axis for run in planned if run.seed == 0]
    assert max(k for k, axis in enumerate(first) if axis in AXES[:3]) < first.index("augmentation")
    with pytest.raises(InputError, match="no axis 'speed'"):
        plan_runs(TINY, ["a"], ["speed"])


def test_a_generator_sees_what_its_protocol_allows(sources, tmp_path, monkeypatch):
    seen = []
    real = bench.fit_generator

    def spy(model, flows, config, folder, max_packets, view):
        seen.append((model, config, flows))
        real(model, flows, config, folder, max_packets, view)

    monkeypatch.setattr(bench, "fit_generator", spy)
    judge = JUDGES["augmentation"]
    shown = {}

    def watched(run, on):
        start = len(seen)
        result = judge(run, on)
        shown[run] = (seen[start:], on)
        return result

    monkeypatch.setitem(JUDGES, "augmentation", watched)
    run_study(
        sources, tmp_path, replace(TINY, shot_models=("gpt2", "replay")), axes=("augmentation",), say=lambda line: None
    )
    protocols = Counter(run["protocol"] for run in shown)
    assert protocols["strict"] == 8
    assert protocols["with-unlabelled"] == 6
    assert protocols["paper"] == 4
    assert protocols["fine-tuned"] == 2
    for run, (fits, on) in shown.items():
        split = on.split(run.flows, run.by, 0)
        train, test = (set(split_part["flow_id"]) for split_part in (_named(split.train), _named(split.test)))
        assert not train & test
        few = set(_named(bench_few(split, run))["flow_id"]) if run.model != "all-real" else set()
        for _, config, flows in fits:
            ids = set(_named(flows)["flow_id"])
            assert not ids & test, "no generator sees test flows"
            if run["protocol"] == "strict":
                assert ids == few
                assert max(Counter(flows["label"]).values()) <= run["shots"]
            if run["protocol"] == "paper":
                assert ids == train
            if run["protocol"] == "fine-tuned" and config.initial_model is not None:
                assert ids == few
                assert on.other_table(run.flows) in config.initial_model
        if run["protocol"] == "strict" and run.model in ("gpt2", "replay"):
            assert len(fits) == 1
    tuned = [fit for run, (fits, _) in shown.items() if run["protocol"] == "fine-tuned" for fit in fits]
    assert sum(config.initial_model is not None for _, config, _ in tuned) == 2


def _named(flows):
    """The flows with a name each that tells them apart by content: the made ones are as good as unique."""
    rows = zip(flows["source_port"], map(tuple, flows["inter_arrival_time"]), strict=True)
    return {"flow_id": list(map(str, rows))}


def bench_few(split, run):
    from hf_ntg.study.axes.augmentation import draw_few

    return draw_few(split.train, run["shots"], run.seed)


def test_few_flows_are_nested_and_bounded():
    from hf_ntg.study.axes.augmentation import draw_few

    flows = make_flows()
    draws = [draw_few(flows, k, seed=4) for k in (2, 5, 1000)]
    ids = [set(_named(draw)["flow_id"]) for draw in draws]
    assert ids[0] < ids[1] < ids[2]
    assert set(Counter(draws[1]["label"]).values()) == {5}
    assert len(draws[2]) == len(flows)


def test_changed_settings_are_other_runs_and_other_code_is_told(sources, tmp_path, monkeypatch):
    lean, said = replace(TINY, models=("2-gram",)), []
    options = {"axes": ("fidelity",), "say": said.append}
    run_study(sources[:1], tmp_path, lean, **options)
    run_study(sources[:1], tmp_path, lean, **options)
    assert said[-1] == "2 runs planned, 2 for this process, 2 of them done"
    run_study(sources[:1], tmp_path, replace(lean, max_packets=3), **options)
    assert len(list(tmp_path.glob("runs/*/*.json"))) == 4
    assert len(ResultStore(tmp_path).gather()) == 2, "the newest of one identity"
    monkeypatch.setattr("hf_ntg.study.run.code_fingerprint", lambda layers: "other")
    run_study(sources[:1], tmp_path, lean, **options)
    assert "2 finished runs were made by other code" in said[-1]
    before = ResultStore(tmp_path).gather()
    run_study(sources[:1], tmp_path, lean, redo_stale=True, **options)
    assert all(row["made"]["code"]["judges"] == "other" for row in ResultStore(tmp_path).gather())
    assert len(before) == 2


def test_what_an_interrupted_training_cost_is_not_made_up(sources, tmp_path):
    on = bench.Workbench(tmp_path, {"a": sources[0]}, replace(TINY, models=("2-gram",)))
    plain = on.fit("2-gram", on.split("a", "capture", 0).train, None, tmp_path / "models" / "one")
    assert plain.facts["training_cpu_seconds"] >= 0
    (tmp_path / "models" / "two.part-0of1").mkdir()  # what a killed process leaves
    resumed = on.fit("2-gram", on.split("a", "capture", 0).train, None, tmp_path / "models" / "two")
    assert resumed.facts["resumed"]
    assert resumed.facts["training_seconds"] is None
    assert not list(tmp_path.rglob("*.part*"))


def test_a_run_that_fails_is_told_and_the_rest_is_done(sources, tmp_path, monkeypatch):
    def failing(*_):
        raise InputError("nothing to be learned here")

    monkeypatch.setattr(bench, "fit_generator", failing)
    said = []
    failed = run_study(sources[:1], tmp_path, TINY, axes=AXES[:3], say=said.append)
    assert {run.model for run in failed} == {"gpt2", "unet", "2-gram"}
    assert {row["model"] for row in ResultStore(tmp_path).gather()} == {"real"}
    assert sum("nothing to be learned here" in line for line in said) == 3
    assert "missing" in write_study(tmp_path)


def test_bad_requests(sources, tmp_path):
    with pytest.raises(InputError, match=r"no baseline 'rnn'.*learned ones are gpt2"):
        run_study(sources, tmp_path / "x", replace(TINY, models=("rnn",)))
    with pytest.raises(InputError, match="have the same name"):
        run_study([sources[0], sources[0]], tmp_path / "x", TINY)
    with pytest.raises(InputError, match="no such file"):
        run_study([str(tmp_path / "gone.parquet")], tmp_path / "x", TINY)
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="no finished run"):
        write_study(tmp_path)
