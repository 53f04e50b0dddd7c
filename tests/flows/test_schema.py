import numpy as np
import pytest
from datasets import ClassLabel, Dataset

from hf_ntg import InputError
from hf_ntg.flows import FLOW_FEATURES, conform_flows
from hf_ntg.flows.schema import column_of

GOOD = {"label": ["a", None], "payload_length": [[0, 5], [7]], "direction": [[1, -1], [1]]}


def conform(**changes):
    columns = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return conform_flows(Dataset.from_dict(columns), "table.parquet")


def test_types_become_the_schemas_and_other_columns_stay():
    flows = conform(inter_arrival_time=[[0.0, 0.5], [0.0]], note=["x", "y"])
    assert all(flows.features[name] == FLOW_FEATURES[name] for name in flows.column_names if name != "note")
    assert flows["note"] == ["x", "y"]


def test_numbered_classes_get_their_names():
    flows = Dataset.from_dict(GOOD | {"label": ["b", None]}).cast_column("label", ClassLabel(names=["a", "b"]))
    named = conform_flows(flows, "t")
    assert named.features["label"] == FLOW_FEATURES["label"]
    assert named["label"] == ["b", None]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"direction": None}, "no column 'direction'"),
        ({"direction": [[1], [1]]}, "row 0: 'direction' has 1 entries and 'payload_length' 2"),
        ({"payload_length": [[0, 5], [-7]]}, "'payload_length', row 1, packet 0: -7"),
        ({"payload_length": [[0, 70_000], [7]]}, "row 0, packet 1: 70000"),
        ({"direction": [[1, 0], [1]]}, "'direction', row 0, packet 1: 0 is not"),
        ({"inter_arrival_time": [[0.0, -1.0], [0.0]]}, "'inter_arrival_time', row 0, packet 1"),
        ({"inter_arrival_time": [[0.0, float("nan")], [0.0]]}, "'inter_arrival_time', row 0, packet 1: nan"),
        ({"payload_length": [[0, 5], []], "direction": [[1, -1], []]}, "row 1: a flow without packets"),
        ({"payload_length": [[0, 5], None]}, "'payload_length', row 1: null"),
        ({"payload_length": [[0, None], [7]]}, "row 0, packet 1"),
        ({"source_port": [1, 70_000]}, "'source_port', row 1"),
        ({"payload_length": ["ab", "c"]}, "cannot be read"),
        ({"label": [], "payload_length": [], "direction": []}, "holds no flows"),
    ],
)
def test_table_that_breaks_the_schema_is_named_with_its_place(changes, said):
    with pytest.raises(InputError, match=r"table\.parquet") as caught:
        conform(**changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_of_shuffled_and_joined_tables_come_in_their_order():
    flows = conform().select([1, 0])
    assert column_of(flows, "payload_length").to_pylist() == [[7], [0, 5]]
    np.testing.assert_array_equal(column_of(flows, "label").to_pylist(), [None, "a"])
