"""Recipes: every one in model_cards loads, and a run goes from data to card, also after it was killed."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hf_ntg import InputError, load_flows
from hf_ntg.flows import save_flows
from hf_ntg.jobs import Recipe, run_recipe
from hf_ntg.jobs.class_choice import ClassChoice, choose_classes
from hf_ntg.training import MODEL_FAMILIES, TrainingConfig

ROOT = Path(__file__).parents[2]
RECIPES = sorted(ROOT.glob("model_cards/*/recipe.toml"))
SHARED = ROOT.parent / "shared" / "data"
QUICK = {"training.epochs": 1, "training.max_packets": 4, "training.checkpoint_every": 0}


def test_there_is_a_recipe_for_every_named_model():
    names = {path.parent.name for path in RECIPES}
    assert names == {f"ntg-{family}-{data}" for family in MODEL_FAMILIES for data in ("mirage", "cesnet", "loopback")}


@pytest.mark.parametrize("path", RECIPES, ids=[path.parent.name for path in RECIPES])
def test_recipe_loads(path):
    recipe = Recipe.load(path)
    assert recipe.name == f"ntg-{recipe.training['model']}-{path.parent.name.rpartition('-')[2]}"
    TrainingConfig.recipe(**recipe.training)
    ClassChoice(**recipe.classes)
    assert recipe.about["licence"]
    if not recipe.name.endswith("loopback"):
        assert recipe.about["url"].startswith("https://")
        assert "never in full" in (path.parent.parent / "data" / f"{recipe.name.rpartition('-')[2]}.toml").read_text()


@pytest.mark.slow
def test_a_run_from_data_to_card_goes_on_where_it_was(flows, tmp_path):
    table = save_flows(flows, tmp_path / "flows.parquet")
    recipe = Recipe.load(ROOT / "model_cards/ntg-gpt2-loopback/recipe.toml", QUICK)
    lines = []
    model = run_recipe(recipe, tmp_path / "run", table, say=lines.append).model
    assert len(lines) == 7
    card = (model / "README.md").read_text()
    for said in (
        "model-index",
        "Loopback services",
        "whole captures",
        "a trial run",
        "--set training.epochs=1 training.max_packets=4",
    ):
        assert said in card
    assert json.loads((model / "training_data.json").read_text())["complete"] is False
    assert "licence: CC0 1.0.\n\n- Classes: 3 classes." in card
    weights = (model / "model.safetensors").read_bytes()
    (tmp_path / "run" / "report.json").unlink()
    lines.clear()
    run_recipe(recipe, tmp_path / "run", table, say=lines.append)
    assert [line.partition("] ")[2] for line in lines] == [
        "judging them next to real flows and baselines",
        "writing the model card",
        "done",
    ]
    assert (model / "model.safetensors").read_bytes() == weights
    with pytest.raises(InputError, match="holds a run of another recipe"):
        run_recipe(Recipe.load(ROOT / "model_cards/ntg-llama-loopback/recipe.toml"), tmp_path / "run", table)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "source", "changes"),
    [
        ("ntg-gpt2-mirage", "mirage2019", {"classes.min_flows": 5}),
        ("ntg-unet-mirage", "mirage2019", {"classes.min_flows": 5}),
        ("ntg-mamba-cesnet", "cesnet", {"classes.min_flows": 2, "classes.most": 5}),
        ("ntg-llama-cesnet", "cesnet", {"classes.min_flows": 2, "classes.most": 5}),
    ],
)
def test_recipes_run_on_genuine_samples(name, source, changes, tmp_path):
    if not (SHARED / source).is_dir():
        pytest.skip("the genuine sample files are not here")
    # One capture a class: the samples cannot be split by capture.
    settings = QUICK | changes | {"split.by": "random", "split.test_size": 0.3}
    recipe = Recipe.load(ROOT / "model_cards" / name / "recipe.toml", settings)
    model = run_recipe(recipe, tmp_path / "run", SHARED / source, say=lambda _: None).model
    card = (model / "README.md").read_text()
    assert recipe.about["name"] in card
    assert "a trial run" in card
    assert len(load_flows(tmp_path / "run" / "synthetic.parquet")) == len(
        load_flows(tmp_path / "run" / "flows" / "train.parquet")
    )


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        (None, {}, "cannot be opened"),
        ("x = [", {}, "not a TOML file"),
        ("x = 1", {}, "names no data file"),
        ('data = "data.toml"\n[trainin]\n', {}, "no section of a recipe is called trainin"),
        ('data = "data.toml"', {"about.name": "x"}, "give SECTION.NAME"),
    ],
)
def test_recipe_that_is_none(text, changes, said, tmp_path):
    (tmp_path / "data.toml").write_text('[about]\nname = "d"\n')
    if text is not None:
        (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(InputError, match=said):
        Recipe.load(tmp_path / "recipe.toml", changes)


def test_recipe_of_foreign_data_wants_a_source(tmp_path):
    recipe = Recipe.load(ROOT / "model_cards/ntg-gpt2-mirage/recipe.toml")
    with pytest.raises(InputError, match="starts from your copy of MIRAGE-2019"):
        run_recipe(recipe, tmp_path / "run", say=lambda _: None)


def test_classes_are_chosen_by_the_rule(flows, tmp_path):
    table = save_flows(flows, tmp_path / "flows.parquet")
    counts = {label: flows["label"].count(label) for label in set(flows["label"])}
    most = min(sorted(counts), key=lambda label: -counts[label])
    choose_classes(table, tmp_path / "one.parquet", ClassChoice(most=1, flows_each=20))
    one = load_flows(tmp_path / "one.parquet")
    assert (set(one["label"]), len(one)) == ({most}, 20)
    assert pq.read_schema(tmp_path / "one.parquet").metadata == pq.read_schema(table).metadata
    order = [flows["flow_id"].index(name) for name in one["flow_id"]] if "flow_id" in flows.column_names else []
    assert order == sorted(order)
    choose_classes(table, tmp_path / "two.parquet", ClassChoice(leave_out=(most,)))
    assert set(load_flows(tmp_path / "two.parquet")["label"]) == set(counts) - {most}
    rule = ClassChoice(most=1, min_flows=3, leave_out=("x",), flows_each=20).rule(one)
    assert rule == (
        "1 classes; the 1 with the most flows (ties by name); classes with fewer than 3 flows left "
        "out; x left out; at most 20 flows of each, drawn with seed 0"
    )
    with pytest.raises(InputError, match="no class has 1000 flows"):
        choose_classes(table, tmp_path / "none.parquet", ClassChoice(min_flows=1000))


def test_the_quickstart_is_a_recipe_of_the_package():
    recipe = Recipe.quickstart()
    assert recipe.split == {"by": "capture", "test_size": 0.2, "seed": 0}
    assert TrainingConfig.recipe(**recipe.training).max_packets == 10
    assert recipe.describe("28 classes").commands == ["ntg quickstart"]
    own = Recipe.quickstart("own.parquet", epochs=2, seed=5)
    assert (own.about, own.split["seed"], own.training["seed"]) == ({"name": "own.parquet"}, 5, 5)
    assert own.training["epochs"] == 2
    data = own.describe("3 classes")
    assert data.commands == ["ntg quickstart --flows own.parquet --epochs 2 --seed 5"]
    assert data.complete is False, "fewer epochs than the recipe has make a trial run"
