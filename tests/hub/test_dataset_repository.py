"""Synthetic data sets on the Hub: configurations, splits, shards; loaded whole, streamed, and as flows."""

import json
import re
import shutil

import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, load_dataset

from hf_ntg import InputError, load_flows
from hf_ntg.flows import save_flows
from hf_ntg.flows.provenance import Provenance, mark_flows, provenance_of_file
from hf_ntg.hub import lay_out_dataset


@pytest.fixture(scope="module")
def tables(synthetic, tmp_path_factory):
    """Two configurations: one with two splits, one without."""
    folder = tmp_path_factory.mktemp("tables")
    for name in ("gpt2/train", "gpt2/test", "mamba/train"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(synthetic, folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def published(client, tables):
    client.run(f"""
from hf_ntg.hub import Destination, publish_dataset
publish_dataset({str(tables)!r}, Destination("org/ntg-tiny-synthetic"), license="cc0-1.0")
""")
    return "org/ntg-tiny-synthetic"


def test_stock_datasets_loads_and_streams_a_named_configuration(stock, published):
    printed = json.loads(
        stock.run(f"""
import json
from datasets import get_dataset_config_names, load_dataset
default, named = load_dataset({published!r}), load_dataset({published!r}, "mamba")
row = next(iter(load_dataset({published!r}, "mamba", split="train", streaming=True)))
names = default["train"].features["label"].names
splits = {{name: len(part) for name, part in default.items()}}
print(json.dumps([get_dataset_config_names({published!r}), splits, len(named["train"]), names, names[row["label"]],
    row["payload_length"], row["direction"]]))
""")
    )
    configs, splits, flows, names, label, lengths, directions = printed
    assert configs == ["gpt2", "mamba"]
    assert (splits, flows) == ({"train": 90, "test": 90}, 90)
    assert names == ["a chat & more", "dns", "web"]
    assert label in names
    assert len(lengths) == len(directions) > 0


def test_load_flows_gives_the_names_of_the_classes_back(client, published, synthetic):
    assert (
        client.run(f"""
from hf_ntg import load_flows
mine = load_flows({str(synthetic)!r})
hub = load_flows({published!r}, config="mamba", split="train")
print(hub.features["label"].dtype, hub.to_dict() == mine.to_dict(), len(load_flows({published!r})))
""")
        == "string True 180\n"
    )
    assert "no data set to load from the Hub" in client.refused(f"""
from hf_ntg import load_flows
load_flows({published!r}, config="llama")
""")


def test_the_usage_examples_of_the_card_run(client, stock, hub, published):
    repo = hub.repos["dataset", published]
    plain, ours = re.findall(r"```python\n(.*?)```", repo.at("main")[1]["README.md"].decode(), flags=re.DOTALL)
    assert "payload_length" in stock.run(plain)
    assert client.run(ours)


def test_the_folder_says_where_its_flows_come_from(tables, tiny_gpt2, tmp_path):
    folder = lay_out_dataset(tables, tmp_path / "new", "org/s", flows_per_shard=40)
    shards = sorted(path.name for path in (folder / "data" / "mamba").iterdir())
    assert shards == [f"train-0000{k}-of-00003.parquet" for k in range(3)]
    mark = Provenance.of_model(tiny_gpt2, 3)
    for shard in folder.rglob("*.parquet"):
        found = provenance_of_file(shard)[0]
        assert (found.model, found.revision, found.seed) == (tiny_gpt2.name, mark.revision, 3)
    card = (folder / "README.md").read_text()
    assert f"| mamba | train | 90 | {tiny_gpt2.name} | `{mark.revision[:19]}` | 3 |" in card
    assert "ntg generate model --num-flows 90" in card
    loaded = load_dataset(str(folder), "mamba", split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded.features["label"], ClassLabel)
    assert len(loaded) == 90


def test_shards_of_one_draw_are_one_split(tables, synthetic, tmp_path):
    rows = pq.read_table(synthetic)
    (tmp_path / "shards").mkdir()
    for shard in range(3):
        pq.write_table(rows.slice(30 * shard, 30), tmp_path / "shards" / f"train-{shard:05d}-of-00003.parquet")
    folder = lay_out_dataset(tmp_path / "shards", tmp_path / "new", "org/s", flows_per_shard=45)
    names = [pq.read_table(path).num_rows for path in sorted(folder.rglob("*.parquet"))]
    assert names == [45, 45]
    assert load_flows(folder / "data")["payload_length"] == load_flows(synthetic)["payload_length"]
    other = load_flows(synthetic).select(range(5))
    path = tmp_path / "shards" / "train-00002-of-00003.parquet"
    save_flows(mark_flows(other, Provenance("another", "r", 0)), path)
    with pytest.raises(InputError, match="several models or seeds"):
        lay_out_dataset(tmp_path / "shards", tmp_path / "newer", "org/s")


def test_another_upload_takes_the_place_of_the_shards(client, hub, published, synthetic):
    client.run(f"""
from hf_ntg.hub import Destination, publish_dataset
publish_dataset({str(synthetic)!r}, Destination("org/again"))
""")
    client.run(f"""
from hf_ntg.hub import Destination, publish_dataset
publish_dataset({str(synthetic.parent)!r}, Destination("org/again"))
""")
    names = [name for name in hub.repos["dataset", "org/again"].at("main")[1] if name.endswith(".parquet")]
    assert names == ["data/default/synthetic-00000-of-00001.parquet"]


def test_real_flows_are_refused(flows, tmp_path):
    real = save_flows(flows, tmp_path / "real.parquet")
    with pytest.raises(InputError, match="real flows are not published"):
        lay_out_dataset(real, tmp_path / "a", "org/a")
    marked = save_flows(mark_flows(flows, Provenance("m", "r", 0)), tmp_path / "marked.parquet")
    with pytest.raises(InputError, match="the column 'flow_id' is missing"):
        lay_out_dataset(marked, tmp_path / "c", "org/a")
    ids = [f"synthetic-{row}" for row in range(len(flows))]
    named = mark_flows(flows.add_column("flow_id", ids), Provenance("m", "r", 0))
    marked = save_flows(named, tmp_path / "marked.parquet")
    with pytest.raises(InputError, match="column 'capture' is of recorded traffic"):
        lay_out_dataset(marked, tmp_path / "b", "org/b")


def test_sources_that_are_none(synthetic, tmp_path):
    (tmp_path / "empty").mkdir()
    mixed = tmp_path / "mixed"
    (mixed / "gpt2").mkdir(parents=True)
    shutil.copy(synthetic, mixed / "train.parquet")
    shutil.copy(synthetic, mixed / "gpt2" / "train.parquet")
    for source, said in (("gone", "no such file"), ("empty", "no .parquet files"), ("mixed", "both in it and below")):
        with pytest.raises(InputError, match=said):
            lay_out_dataset(tmp_path / source, tmp_path / "new", "org/a")


def test_the_mark_survives_load_and_names_the_model_on_the_hub(synthetic, tmp_path):
    assert load_flows(synthetic).num_rows == 90
    snapshot = tmp_path / "models--org--ntg-x" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    mark = Provenance.of_model(snapshot, 1)
    assert (mark.model, mark.revision) == ("org/ntg-x", "a" * 40)
