import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_ntg import InputError
from hf_ntg.flows import load_flows
from hf_ntg.flows.byte_stream import BrokenFileError
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.parquet import open_parquet
from hf_ntg.flows.parquet_pages import column_sizes

ROW = {"label": "web", "payload_length": [1, 2], "direction": [1, -1]}


def table(rows=100, **columns):
    return pa.table({name: [value] * rows for name, value in {**ROW, **columns}.items()})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dictionary": False, "compression": "gzip"},
        {"data_page_version": "2.0", "row_group_size": 7},
        {"write_page_index": True, "write_page_checksum": True, "compression": "none"},
        {"data_page_size": 64, "column_encoding": {"label": "DELTA_BYTE_ARRAY"}, "use_dictionary": False},
    ],
)
def test_sizes_are_those_of_the_pages(tmp_path, options):
    path = tmp_path / "t.parquet"
    more = {"address": b"\1" * 16, "ppi": [[0.0], [1.0]], "empty": None, "seen": [["a"], ["b", "c"]]}
    pq.write_table(table(**more), path, **options)
    found, metadata = column_sizes(path), pq.read_metadata(path)
    assert len(found) == metadata.num_row_groups
    for group, sizes in enumerate(found):
        columns = [metadata.row_group(group).column(place) for place in range(metadata.num_columns)]
        assert [size.values for size in sizes] == [column.num_values for column in columns]
        assert all(size.unpacked <= column.total_uncompressed_size for size, column in zip(sizes, columns, strict=True))


def test_a_footer_that_names_fewer_values_than_the_pages_have_does_not_hide_them(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    size = 1_000_000
    lists = pa.ListArray.from_arrays(pa.array([0, size], pa.int32()), pa.array(np.ones(size, np.int8)))
    pq.write_table(pa.table({"payload_length": lists, "direction": [[1]], "label": ["web"]}), path, compression="zstd")
    true, data = varint(size), path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    few = bytes([0x84, *[0x80] * (len(true) - 2), 0])  # 2, in as many bytes
    assert true in data[footer:]
    path.write_bytes(data[:footer] + data[footer:].replace(true, few))
    assert column_sizes(path)[0][0].values == size
    monkeypatch.setattr("hf_ntg.flows.parquet._MAX_LIST_VALUES", size - 1)
    with pytest.raises(InputError, match="1,000,000 values in one row group"):
        load_flows(path)


def varint(number):
    number, out = number << 1, []
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def test_lists_in_lists_are_refused_before_they_are_read(tmp_path):
    for name, value in {"payload_length": [[1, 2]], "label": ["web"], "direction": {"up": 1}}.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table(**{name: value}), path)
        with pytest.raises(InputError, match=f"column '{name}' holds .*, not "):
            import_flows([path], tmp_path / "out.parquet")


def test_lists_of_texts_are_read(tmp_path):
    pq.write_table(table(direction=["out", "in"], note=[["x"]]), tmp_path / "t.parquet")
    import_flows([tmp_path / "t.parquet"], tmp_path / "out.parquet")
    assert load_flows(tmp_path / "out.parquet")["direction"][:1] == [[1, -1]]
    pq.write_table(table(note=[{"a": ["x"]}]), tmp_path / "t.parquet")
    assert load_flows(tmp_path / "t.parquet")["note"][:1] == [[{"a": ["x"]}]]


def test_a_text_in_many_rows_is_counted_as_often_as_it_is_used(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pq.write_table(table(rows=1_000, label="x" * 5_000), path)
    monkeypatch.setattr("hf_ntg.flows.parquet.FREE_BYTES", 1_000_000)
    monkeypatch.setattr("hf_ntg.flows.parquet.MAX_RATIO", 1)
    with pytest.raises(InputError, match=r"'label' unpacks to 4 MiB.*decompression bomb"):
        load_flows(path)


def test_damaged_footers_and_pages_are_one_line(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(table(rows=5), path)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(4, len(data) - 4, 2):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(BrokenFileError):
            open_parquet(path).close()


def test_a_name_that_is_not_utf8_is_said_to_be_so(tmp_path):
    path = tmp_path / "a\udcff.parquet"
    pq.write_table(pa.table({"label": ["a"]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(path)
    with pytest.raises(InputError, match="the name is not valid UTF-8"):
        open_parquet(path)
