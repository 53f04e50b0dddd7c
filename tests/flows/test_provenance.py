"""The marks of synthetic flows and their packet view survive every format, or the table refuses to be mixed."""

from dataclasses import replace

import pytest
from datasets import Dataset, concatenate_datasets, load_dataset

import hf_ntg
from hf_ntg.flows import FlowArrays, load_flows, save_flows
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.provenance import PROVENANCE_COLUMN, Provenance, mark_flows, provenance_of
from hf_ntg.flows.schema import conform_flows
from hf_ntg.hub.dataset_repository import lay_out_dataset

MARK = Provenance("org/model", "abc", 3, command="ntg generate …", view="payload", max_packets=4)
ROWS = [
    {"flow_id": f"synthetic-{number}", "label": "ab"[number % 2], "payload_length": [5, 3 + number],
     "direction": [1, -1], "inter_arrival_time": [0.0, float(number)]}
    for number in range(24)
]  # fmt: skip


def marked(*marks):
    return mark_flows(conform_flows(ROWS, "test"), marks or (MARK,))


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_marks_and_view_come_back_from_every_format(tmp_path, suffix):
    path = save_flows(marked(), tmp_path / f"x{suffix}")
    read = load_flows(path)
    assert provenance_of(read) == (MARK,)
    assert read.select_columns(list(ROWS[0])).to_list() == ROWS
    assert FlowArrays.from_dataset(read).view == "payload"
    report = import_flows([path], tmp_path / "imported.parquet")
    assert provenance_of(load_flows(tmp_path / "imported.parquet")) == (MARK,)
    assert any("synthetic flows of org/model" in remark for remark in report.remarks())


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_what_datasets_reads_is_marked_too(tmp_path, suffix):
    path = save_flows(marked(), tmp_path / f"x{suffix}")
    kind = "json" if suffix == ".jsonl" else "csv"
    read = load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    if suffix == ".csv":  # whose lists are text
        with pytest.raises(hf_ntg.InputError, match="list"):
            conform_flows(read, "x")
        return
    assert provenance_of(conform_flows(read, "x")) == (MARK,)


def test_a_published_data_set_is_marked(tmp_path):
    other = replace(MARK, seed=4)
    (tmp_path / "flows").mkdir()
    save_flows(marked(), tmp_path / "flows" / "train.parquet")
    save_flows(marked(other), tmp_path / "flows" / "more.parquet")
    lay_out_dataset(tmp_path / "flows", tmp_path / "repository", "org/flows")
    splits = load_dataset(str(tmp_path / "repository"), cache_dir=str(tmp_path / "cache"))
    train, more = conform_flows(splits["train"], "train"), conform_flows(splits["more"], "more")
    assert (provenance_of(train), provenance_of(more)) == ((MARK,), (other,))
    assert PROVENANCE_COLUMN not in train.column_names
    assert train["label"] == [row["label"] for row in ROWS]
    both = conform_flows(concatenate_datasets(list(splits.values())), "both")
    assert set(provenance_of(both)) == {MARK, other}
    assert FlowArrays.from_dataset(both).view == "payload"
    import_flows([tmp_path / "repository"], tmp_path / "imported.parquet")
    again = load_flows(tmp_path / "imported.parquet")
    assert set(provenance_of(again)) == {MARK, other}
    assert set(again["label"]) == {"a", "b"}


def test_real_flows_beside_synthetic_ones_are_said_and_views_do_not_mix(tmp_path):
    real = [row | {"flow_id": "real", "payload_length": [0, 3]} for row in ROWS]
    files = [save_flows(marked(), tmp_path / "a.jsonl"), save_flows(real, tmp_path / "b.jsonl")]
    report = import_flows(files, tmp_path / "both.parquet")
    assert any(remark.endswith("together with others") for remark in report.remarks())
    both = load_flows(tmp_path / "both.parquet")
    assert provenance_of(both) == (replace(MARK, holds_real=True),)
    with pytest.raises(hf_ntg.InputError, match="put all of them into one view first"):
        FlowArrays.from_dataset(both)
    mixed = Dataset.from_list([*load_rows(files[0]), *load_rows(files[1])])
    with pytest.raises(hf_ntg.InputError, match="put all of them into one view first"):
        hf_ntg.FlowTokenizer.fit(mixed)


def load_rows(path):
    import json

    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_users_own_column_of_that_name_stays():
    rows = [row | {PROVENANCE_COLUMN: "lab 3"} for row in ROWS]
    table = conform_flows(rows, "x")
    assert table[PROVENANCE_COLUMN] == ["lab 3"] * len(ROWS)
    assert provenance_of(table) == ()
