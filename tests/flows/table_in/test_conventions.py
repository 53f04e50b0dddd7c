"""What a table's numbers mean is decided from the whole file: flows written in many conventions read back alike."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.table_in.tabular import TableReader, parse_columns

LENGTHS = [[517, 1400, 80], [70, 90], [60, 0, 52, 517, 1448], [33, 44, 55, 66], [10, 20]]
DIRECTIONS = [[1, -1, 1], [1, -1], [1, -1, 1, 1, -1], [1, 1, -1, -1], [-1, -1]]
GAPS = [[0, 0.25, 0.5], [0, 0.125], [0, 1.5, 0.25, 0.125, 2], [0, 0.5, 0.25, 0.125], [0, 0.75]]
WIDTH = 6


def read(path, *columns, **options):
    reader = TableReader(path, parse_columns(list(columns)), **options)
    return [row for batch in reader for row in batch.flows.to_dataset().to_list()], reader


def write_csv(path, separator=",", **columns):
    def text(cell):
        plain = cell if isinstance(cell, str) else json.dumps(cell)
        return '"' + plain.replace('"', '""') + '"'

    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(columns), *(separator.join(map(text, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def padded(lists, pad):
    return [one + [pad] * (WIDTH - len(one)) for one in lists]


def check(rows, gaps=True):
    assert [row["payload_length"] for row in rows] == LENGTHS
    assert [row["direction"] for row in rows] == DIRECTIONS
    if gaps:
        for row, wanted in zip(rows, GAPS, strict=True):
            np.testing.assert_allclose(row["inter_arrival_time"], wanted, atol=1e-6)


CODES = {
    "signs": {1: 1, -1: -1},
    "0 and 1": {1: 0, -1: 1},
    "1 and 2": {1: 1, -1: 2},
    "in and out": {1: "out", -1: "in"},
    "forward and backward": {1: "fwd", -1: "bwd"},
    "client and server": {1: "c2s", -1: "s2c"},
    "capitals": {1: "Upstream", -1: "Downstream"},
    "arrows": {1: "->", -1: "<-"},
    "ends": {1: "C->S", -1: "S->C"},
    "letters": {1: "c", -1: "s"},
}


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
@pytest.mark.parametrize("pad", [None, -1, 0, float("nan")])
def test_directions_and_padding(tmp_path, code, pad):
    coded = [[code[one] for one in row] for row in DIRECTIONS]
    lists = {"payload_length": LENGTHS, "direction": coded, "inter_arrival_time": GAPS}
    if pad is not None:
        words = isinstance(code[1], str)
        lists = {name: padded(one, "" if words and name == "direction" else pad) for name, one in lists.items()}
    rows, reader = read(write_csv(tmp_path / "t.csv", **lists), "inter_arrival_time=inter_arrival_time:s")
    check(rows)
    assert not reader.skipped
    assert any("padding" in remark for remark in reader.noticed) == (pad is not None)


@pytest.mark.parametrize("text", [",", " ", ";"])
def test_plus_and_minus_signs_in_one_cell(tmp_path, text):
    signs = [text.strip(";,").join("+" if one > 0 else "-" for one in row) for row in DIRECTIONS]
    lengths = [text.join(map(str, row)) for row in LENGTHS]
    rows, _ = read(write_csv(tmp_path / "t.csv", payload_length=lengths, direction=signs))
    check(rows, gaps=False)


@pytest.mark.parametrize("pad", [None, 0])
def test_signed_lengths(tmp_path, pad):
    signed = [[n * d for n, d in zip(*row, strict=True)] for row in zip(LENGTHS, DIRECTIONS, strict=True)]
    signed[2][1] = -1
    rows, _ = read(write_csv(tmp_path / "t.csv", payload_length=signed if pad is None else padded(signed, pad)))
    rows[2]["payload_length"][1] = 0
    check(rows, gaps=False)


def test_signed_lengths_and_a_column_of_directions(tmp_path):
    signed = [[n * d for n, d in zip(*row, strict=True)] for row in zip(LENGTHS, DIRECTIONS, strict=True)]
    rows, _ = read(write_csv(tmp_path / "t.csv", payload_length=signed, direction=DIRECTIONS))
    check(rows, gaps=False)


def test_a_row_of_one_direction_is_read_as_the_file_says(tmp_path):
    zeros_and_ones = [[0, 1], [0, 1], [1, 1]]
    rows, reader = read(write_csv(tmp_path / "t.csv", payload_length=[[5, 6]] * 3, direction=zeros_and_ones))
    assert [row["direction"] for row in rows] == [[1, -1], [1, -1], [-1, -1]]
    assert any("0 read as from the initiator" in remark for remark in reader.noticed)
    turned = [[1, 0], [1, 0, 0], [1, 1]]
    path = write_csv(tmp_path / "u.csv", payload_length=[[5, 6], [5, 6, 7], [5, 6]], direction=turned)
    rows, reader = read(path)
    assert [row["direction"] for row in rows] == [[1, -1], [1, -1, -1], [1, 1]]
    assert any("1 read as from the initiator" in remark for remark in reader.noticed)
    rows, reader = read(path, "direction=direction:0/1")
    assert rows[0]["direction"] == [-1, 1]
    assert not any("initiator" in remark for remark in reader.noticed)


def test_unknown_direction_words_are_asked_for(tmp_path):
    path = write_csv(tmp_path / "t.csv", payload_length=[[5, 6]], direction=[["red", "blue"]])
    with pytest.raises(InputError, match="directions are 'red' and 'blue'; say which is which"):
        read(path)
    rows, _ = read(path, "direction=direction:blue/red")
    assert rows[0]["direction"] == [-1, 1]


def test_in_and_out_at_the_server_are_turned(tmp_path):
    words = [["in", "out"], ["in", "in"], ["in", "out"]]
    rows, reader = read(write_csv(tmp_path / "t.csv", payload_length=[[5, 6]] * 3, direction=words))
    assert [row["direction"] for row in rows] == [[1, -1], [1, 1], [1, -1]]
    assert any("server's side" in remark for remark in reader.noticed)


UNITS = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}


@pytest.mark.parametrize("unit", UNITS)
def test_units_declared_by_name_and_by_the_columns_name(tmp_path, unit):
    times = [[gap * UNITS[unit] for gap in row] for row in GAPS]
    path = write_csv(
        tmp_path / "t.csv", **{"payload_length": LENGTHS, "direction": DIRECTIONS, f"gaps_{unit}": times, "t": times}
    )
    for name in (f"gaps_{unit}", f"t:{unit}"):
        rows, _ = read(path, f"inter_arrival_time={name}")
        check(rows)


@pytest.mark.parametrize(("unit", "scale"), [("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_units_told_from_the_file_are_remarked(tmp_path, unit, scale):
    times = [[round(gap * scale) for gap in row] for row in GAPS]
    rows, reader = read(
        write_csv(tmp_path / "t.csv", payload_length=LENGTHS, direction=DIRECTIONS, inter_arrival_time=times)
    )
    check(rows)
    assert any(f"times are taken as {unit}, by their size" in remark for remark in reader.noticed)


@pytest.mark.parametrize(("unit", "scale"), UNITS.items())
def test_time_stamps_since_1970_say_their_unit(tmp_path, unit, scale):
    stamps = [[int((1_700_000_000 + moment) * scale) if unit != "s" else 1_700_000_000 + moment
               for moment in np.cumsum(row).tolist()] for row in GAPS]  # fmt: skip
    rows, reader = read(
        write_csv(tmp_path / "t.csv", payload_length=LENGTHS, direction=DIRECTIONS, inter_arrival_time=stamps)
    )
    check(rows)
    assert any("since 1970" in remark for remark in reader.noticed)


def test_declared_timestamps_and_gaps_without_the_first(tmp_path):
    stamps = [np.cumsum(row).tolist() for row in GAPS]
    lists = {"payload_length": LENGTHS, "direction": DIRECTIONS, "when": stamps, "gaps": [row[1:] for row in GAPS],
             "unknown": [[None, *row[1:]] for row in GAPS]}  # fmt: skip
    path = write_csv(tmp_path / "t.csv", **lists)
    for pair in ("timestamp=when:s", "inter_arrival_time=gaps:s", "inter_arrival_time=unknown:s"):
        check(read(path, pair)[0])


@pytest.mark.parametrize(("unit", "scale"), UNITS.items())
@pytest.mark.parametrize("column", ["inter_arrival_time", "inter_arrival_time=inter_arrival_time:{unit}"])
def test_a_start_since_1970_before_the_gaps(tmp_path, unit, scale, column):
    times = [[(1_700_000_000 + row) * scale, *(gap * scale for gap in gaps[1:])] for row, gaps in enumerate(GAPS)]
    path = write_csv(tmp_path / "t.csv", payload_length=LENGTHS, direction=DIRECTIONS, inter_arrival_time=times)
    rows, reader = read(path, *([column.format(unit=unit)] if "=" in column else []))
    check(rows)
    assert any("is its start since 1970" in remark for remark in reader.noticed)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_times_as_dates(tmp_path, suffix):
    begin = np.datetime64("2024-05-01T08:00:00", "ns")
    stamps = [[begin + np.timedelta64(round(time * 1e9), "ns") for time in np.cumsum(gaps)] for gaps in GAPS]
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        texts = [[str(one) + "Z" for one in row] for row in stamps]
        write_csv(path, payload_length=LENGTHS, direction=DIRECTIONS, inter_arrival_time=texts)
    else:
        pq.write_table(
            pa.table({"payload_length": LENGTHS, "direction": DIRECTIONS,
                      "inter_arrival_time": pa.array(stamps, pa.list_(pa.timestamp("ns")))}), path
        )  # fmt: skip
    rows, reader = read(path)
    check(rows)
    assert "columns of times that hold dates" in reader.noticed


def test_decimal_commas(tmp_path):
    texts = ["[" + "; ".join(f"{gap:.3f}".replace(".", ",") for gap in gaps) + "]" for gaps in GAPS]
    path = write_csv(tmp_path / "t.csv", ";", payload_length=LENGTHS, direction=DIRECTIONS, inter_arrival_time=texts)
    rows, reader = read(path)
    check(rows)
    assert "tables with decimal commas" in reader.noticed


def test_nulls_in_optional_columns_mean_unknown(tmp_path):
    table = {
        "label": ["a", None, "b"],
        "payload_length": [[1, 2], [3], [4]],
        "direction": [[1, -1], [1], [1]],
        "tcp_window": [[5, 6], None, [7]],
        "inter_arrival_time": [None, [0.0], [0.0]],
        "protocol": [6, None, 17],
        "source_port": [None, None, None],
    }
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(table), path)
    rows, reader = read(path)
    assert [row["tcp_window"] for row in rows] == [[5, 6], [0], [7]]
    assert [row["protocol"] for row in rows] == [6, None, 17]
    assert "inter_arrival_time" not in rows[0]
    assert reader.noticed["flows without times, for which the column 'inter_arrival_time' is left out"] == 1


def test_nfstream_exports_are_known(tmp_path):
    lists = {
        "splt_direction": [[0, 1, 0, -1, -1], [0, 1, -1, -1, -1], [0, 1, 0, 0, 1]],
        "splt_ps": [[60, 60, 52, -1, -1], [70, 90, -1, -1, -1], [60, 60, 52, 517, 1400]],
        "splt_piat_ms": [[0, 10, 12, -1, -1], [0, 10, -1, -1, -1], [0, 10, 1, 2, 10]],
    }
    path = write_csv(tmp_path / "s.csv", application_name=["TLS"] * 3, src_port=[40000] * 3, **lists)
    rows, reader = read(path)
    assert [row["direction"] for row in rows] == [[1, -1, 1], [1, -1], [1, -1, 1, 1, -1]]
    assert [len(row["payload_length"]) for row in rows] == [3, 2, 5]
    assert rows[0]["inter_arrival_time"] == pytest.approx([0, 0.01, 0.012])
    assert rows[0]["label"] == "TLS"
    assert reader.noticed["rows with padding (-1) behind the last packet, which was stripped"] == 2


def test_one_bad_row_loses_nothing_else(tmp_path):
    cells = ["[1, 2]", '[1, "x"]', "[1, 70000]", "[]", "null", "nonsense", "[3, null, 4]", "[3]"]
    rows, reader = read(write_csv(tmp_path / "t.csv", payload_length=cells))
    assert [row["payload_length"] for row in rows] == [[1, 2], [3]]
    assert sum(reader.skipped.values()) == 6


def test_rows_beyond_one_batch_share_the_convention(tmp_path, monkeypatch):
    from hf_ntg.flows.table_in import table_file

    monkeypatch.setattr(table_file, "BATCH", 2)
    path = write_csv(tmp_path / "t.csv", payload_length=[[5, 6]] * 5, direction=[[0, 0]] * 4 + [[0, 1]])
    rows, _ = read(path)
    assert [row["direction"] for row in rows] == [[1, 1]] * 4 + [[1, -1]]
    path = write_csv(tmp_path / "t.csv", payload_length=[[5, 6]] * 5, direction=[[1, 1]] * 4 + [[1, -1]])
    rows, _ = read(path)
    assert [row["direction"] for row in rows] == [[1, 1]] * 4 + [[1, -1]]
