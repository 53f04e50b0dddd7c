import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.schema import FLOW_FEATURES
from hf_ntg.flows.table_in.tabular import TableReader, parse_columns

NAMES = ["payload_length=SIZES", "direction=DIRS", "inter_arrival_time=GAPS:ms", "label=app", "protocol=PROTO"]
FLOWS = {
    "SIZES": [[517, 1448], [40]],
    "DIRS": [[0, 1], [0]],
    "GAPS": [[0.0, 250.0], [0.0]],
    "app": ["a", None],
    "PROTO": [6, 17],
}


def read(path, columns=NAMES, **options):
    reader = TableReader(path, parse_columns(columns), **options)
    return [row for batch in reader for row in batch.flows.to_dataset().to_list()], reader


def as_csv(path, flows, text=json.dumps):
    rows = zip(
        *([text(cell) if isinstance(cell, list) else cell or "" for cell in column] for column in flows.values()),
        strict=True,
    )
    lines = [",".join(flows)] + [",".join(f'"{cell}"' for cell in row) for row in rows]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("kind", ["parquet", "JSON text", "blanks"])
def test_columns_of_other_names(tmp_path, kind):
    if kind == "parquet":
        path = tmp_path / "flows.parquet"
        pq.write_table(pa.table(FLOWS), path)
    else:
        text = json.dumps if kind == "JSON text" else lambda cell: " ".join(map(str, cell))
        path = as_csv(tmp_path / "flows.csv", FLOWS, text)
    rows, _ = read(path)
    assert [row["payload_length"] for row in rows] == [[517, 1448], [40]]
    assert [row["direction"] for row in rows] == [[1, -1], [1]]
    assert [row["inter_arrival_time"] for row in rows] == [[0, 0.25], [0]]
    assert [row["label"] for row in rows] == ["a", None]
    assert [row["protocol"] for row in rows] == [6, 17]
    assert "tcp_window" not in rows[0]


def test_without_directions_the_sign_of_a_length_is_its_direction(tmp_path):
    path = as_csv(tmp_path / "flows.csv", {"payload_length": [[517, -1448, 0]], "label": ["a"]})
    rows, _ = read(path, [])
    assert rows[0]["payload_length"] == [517, 1448, 0]
    assert rows[0]["direction"] == [1, -1, 1]


def test_a_missing_column_is_named(tmp_path):
    path = as_csv(tmp_path / "flows.csv", FLOWS)
    with pytest.raises(InputError, match=r"no column 'NONE' \(found: 'SIZES'"):
        read(path, ["payload_length=NONE"])
    with pytest.raises(InputError, match="no column 'payload_length'"):
        read(path, [])


@pytest.mark.parametrize("pair", ["payload_length", "payload_length=", "sizes=SIZES"])
def test_pairs_that_are_none(pair):
    with pytest.raises(InputError, match="columns"):
        parse_columns([pair])


def test_broken_tables(tmp_path):
    path = tmp_path / "flows.parquet"
    path.write_bytes(b"PAR1 nothing")
    assert "Parquet" in str(read(path)[1].broken)


def test_a_table_of_the_packages_own_schema_is_taken_as_it_is(tmp_path):
    rows = [{"label": "a", "payload_length": [0, 1, 2, 3], "direction": [1, -1, 1, 1],
             "inter_arrival_time": [0.0, 1.0, 2.0, 3.0]}] * 20  # fmt: skip
    path = tmp_path / "flows.parquet"
    schema = FLOW_FEATURES.arrow_schema
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([schema.field(name) for name in rows[0]])), path)
    reader = TableReader(path, {})
    (batch,) = reader
    assert batch.flows.inter_arrival_time[:4].tolist() == [0, 1, 2, 3]
    assert not reader.noticed


PPI = [[[0, 6, 0], [1, -1, 0], [517, 1448, 0], [1, 0, 0]], [[0, 9, 250], [1, -1, 1], [100, 90, 40], [1, 1, 1]]]


@pytest.mark.parametrize("kind", [pa.list_(pa.list_(pa.float32())), pa.list_(pa.list_(pa.int64(), 3), 4), pa.string()])
def test_a_column_of_all_packet_lists(tmp_path, kind):
    cells = list(map(json.dumps, PPI)) if kind == pa.string() else PPI
    names = {"APP": ["web", None], "PROTOCOL": [6, 17], "DST_PORT": [443, 53]}
    pq.write_table(pa.table({"PPI": pa.array(cells, kind), **names}), tmp_path / "x.parquet")
    rows, reader = read(tmp_path / "x.parquet", [])
    assert [row["payload_length"] for row in rows] == [[517, 1448], [100, 90, 40]]
    assert [row["direction"] for row in rows] == [[1, -1], [1, -1, 1]]
    assert rows[1]["inter_arrival_time"] == pytest.approx([0, 0.009, 0.25])
    assert [(row["label"], row["protocol"], row["destination_port"]) for row in rows] == [
        ("web", 6, 443),
        (None, 17, 53),
    ]
    assert reader.noticed["rows with padding (0) behind the last packet, which was stripped"] == 1


def test_a_column_of_all_packet_lists_of_another_name_and_unit(tmp_path):
    cells = pa.array([*PPI, [[1], [1]], None], pa.list_(pa.list_(pa.int32())))
    pq.write_table(pa.table({"seq": cells, "kind": ["a", "b", "c", "d"]}), tmp_path / "x.parquet")
    rows, reader = read(tmp_path / "x.parquet", ["ppi=seq:us", "label=kind"])
    assert [row["label"] for row in rows] == ["a", "b"]
    assert rows[1]["inter_arrival_time"] == pytest.approx([0, 9e-6, 250e-6])
    assert reader.skipped.total() == 2
    with pytest.raises(InputError, match="'seq2'"):
        read(tmp_path / "x.parquet", ["ppi=seq2"])
    with pytest.raises(InputError, match="'ppi' holds all packet lists"):
        parse_columns(["ppi=seq", "direction=d"])
