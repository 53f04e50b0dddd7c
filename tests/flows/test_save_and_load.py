import json

import pyarrow.csv
import pytest
from datasets import load_dataset

from hf_ntg import InputError, load_flows
from hf_ntg.flows import save_flows


def test_parquet_comes_back_the_same(flows, tmp_path):
    path = save_flows(flows, tmp_path / "flows.parquet")
    again = load_flows(path)
    assert again.to_dict() == flows.to_dict()
    assert again.features == flows.features
    assert load_dataset("parquet", data_files=str(path), split="train").features == flows.features


def test_pieces_make_one_file(flows, tmp_path):
    pieces = [flows.select(range(0, 100)), flows.select(range(100, 240))]
    for suffix in ("parquet", "jsonl", "csv"):
        whole = save_flows(flows, tmp_path / f"whole.{suffix}")
        joined = save_flows(iter(pieces), tmp_path / f"joined.{suffix}")
        if suffix == "parquet":
            assert load_flows(joined).to_dict() == load_flows(whole).to_dict()
        else:
            assert joined.read_bytes() == whole.read_bytes()


def test_text_forms_hold_the_flows(flows, tmp_path):
    lines = save_flows(flows, tmp_path / "flows.jsonl").read_text().splitlines()
    assert [json.loads(line)["payload_length"] for line in lines] == flows["payload_length"]
    table = pyarrow.csv.read_csv(save_flows(flows, tmp_path / "flows.csv"))
    assert [json.loads(cell.as_py()) for cell in table.column("direction")] == flows["direction"]


def test_a_failed_write_leaves_the_old_file(flows, tmp_path):
    path = save_flows(flows, tmp_path / "flows.parquet")
    before = path.read_bytes()

    def broken():
        yield flows
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_flows(broken(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_folder_of_parquet_is_one_table(flows, tmp_path):
    save_flows(flows.select(range(10)), tmp_path / "a.parquet")
    save_flows(flows.select(range(10, 30)), tmp_path / "more" / "b.parquet")
    assert load_flows(tmp_path).to_dict() == flows.select(range(30)).to_dict()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.parquet", None, "no such file"),
        ("empty.parquet", b"", "not a readable Parquet file"),
        ("cut.parquet", b"PAR1 and then nothing", "not a readable Parquet file"),
        ("flows.xlsx", b"PK", "not a flow table"),
    ],
)
def test_source_that_cannot_be_read_is_named(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load_flows(path)
    assert name in str(caught.value)


def test_folder_without_tables_and_unknown_format_are_refused(flows, tmp_path):
    with pytest.raises(InputError, match=r"without \.parquet"):
        load_flows(tmp_path)
    with pytest.raises(InputError, match="no such flow format"):
        save_flows(flows, tmp_path / "flows.txt")


def test_id_that_is_not_in_the_cache_is_one_line_offline():
    with pytest.raises(InputError, match="no data set to load") as caught:
        load_flows("nobody/flows-that-are-not-there")
    assert "\n" not in str(caught.value)
