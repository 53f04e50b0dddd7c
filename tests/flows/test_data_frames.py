import warnings

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict, IterableDataset

from hf_ntg.errors import InputError
from hf_ntg.flows import FLOW_FEATURES, conform_flows
from hf_ntg.flows.arrays import FlowArrays, as_arrays

ROWS = [
    {"label": "a", "payload_length": [0, 5], "direction": [1, -1], "protocol": 6},
    {"label": None, "payload_length": [7], "direction": [1], "protocol": None},
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


def pandas_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    frame["label"] = frame["label"].astype("category")
    frame["payload_length"] = [np.array(one) for one in COLUMNS["payload_length"]]
    return frame


def polars_frame():
    polars = pytest.importorskip("polars")
    return polars.DataFrame(COLUMNS).with_columns(polars.col("label").cast(polars.Categorical))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dataset.from_dict(COLUMNS),
        lambda: DatasetDict(train=Dataset.from_dict(COLUMNS)),
        lambda: pa.table(COLUMNS),
        lambda: pa.RecordBatch.from_pydict(COLUMNS),
        lambda: ROWS,
        lambda: COLUMNS,
        pandas_frame,
        polars_frame,
    ],
)
def test_every_kind_of_table_in_memory_reads_alike(make):
    flows = conform_flows(make(), "t")
    assert flows["label"] == ["a", None]
    assert flows["payload_length"] == [[0, 5], [7]]
    assert flows["protocol"] == [6, None]
    assert all(flows.features[name] == FLOW_FEATURES[name] for name in flows.column_names)
    assert len(as_arrays(make())) == 2


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (DatasetDict(train=Dataset.from_dict(COLUMNS), test=Dataset.from_dict(COLUMNS)), r"give one split, .*'train'"),
        (IterableDataset.from_generator(lambda: iter(ROWS)), "streaming"),
        ("flows.parquet", "str is no flow table"),
        ([{"label": object(), **ROWS[0]}, 3], "list is no flow table"),
        ({"label": ["a"], "payload_length": [[1, "x"]], "direction": [[1, 1]]}, "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_table_says_so_in_one_line(table, said):
    with pytest.raises(InputError, match=said) as caught:
        conform_flows(table, "t")
    assert "\n" not in str(caught.value)


def test_arrays_pass_unchanged():
    arrays = as_arrays(ROWS)
    assert isinstance(arrays, FlowArrays)
    assert as_arrays(arrays) is arrays


def test_labels_of_numbers_become_text():
    for labels, wanted in (
        ([3, None], ["3", None]),
        ([3.0, float("nan")], ["3", None]),
        ([True, False], ["true", "false"]),
    ):
        assert conform_flows(Dataset.from_dict(COLUMNS | {"label": labels}), "t")["label"] == wanted
    with pytest.raises(InputError, match=r"column 'label', row 1: 2\.5"):
        conform_flows(COLUMNS | {"label": [1.0, 2.5]}, "t")


def test_nulls_in_optional_columns_mean_unknown():
    windows = conform_flows(COLUMNS | {"tcp_window": [None, [9]]}, "t")
    assert windows["tcp_window"] == [[0, 0], [9]]
    for name in ("tcp_window", "inter_arrival_time"):
        assert name not in conform_flows(COLUMNS | {name: [None, None]}, "t").column_names
    with pytest.warns(UserWarning, match="null in 1 of 2 flows"):
        flows = conform_flows(COLUMNS | {"inter_arrival_time": [None, [0.0]]}, "t")
    assert "inter_arrival_time" not in flows.column_names
    assert len(flows) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert conform_flows(COLUMNS | {"source_port": [float("nan"), 80.0]}, "t")["source_port"] == [None, 80]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"payload_length": [[0.0, 5.5], [7.0]]}, "'payload_length', row 0, packet 1: 5.5"),
        ({"direction": [[0, 1], [0]]}, "'direction', row 0, packet 0: 0 is not \\+1 or -1; 'ntg import'"),
        ({"protocol": [6, 2**40]}, "'protocol', row 1: 1099511627776"),
        ({"source_port": [1.5, None]}, "'source_port', row 0: 1.5"),
        ({"destination_port": ["https", "443"]}, "'destination_port' cannot be read as numbers"),
        ({"label": [["a"], ["b"]]}, "column 'label' cannot be read"),
        ({"label": ["a", "b" * 10_001]}, "row 1: a text of more than 10,000"),
        ({"inter_arrival_time": [[0.0, float("inf")], [0.0]]}, "'inter_arrival_time', row 0, packet 1: inf"),
    ],
)
def test_values_out_of_the_schema_are_named(change, said):
    with pytest.raises(InputError, match=said):
        conform_flows(COLUMNS | change, "t")
