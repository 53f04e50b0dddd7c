import gzip

import numpy as np
import pandas as pd
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.table_in.cesnet import CesnetReader, from_datazoo

QUIC = "ID,SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,QUIC_SNI,PACKETS,PACKETS_REV,PPI,APP\n"
ROW = '7,10.0.0.1,10.0.0.2,4000,443,17,a.example.com,30,12,"[[0, 6, 7], [1, -1, 1], [1200, 1200, 40]]",youtube\n'
YEAR = 'PPI,APP\n"[[0, 6], [1, -1], [517, 1448], [1, 0]]",zoom\n'


def read(path, **options):
    reader = CesnetReader(path, **options)
    return [row for batch in reader for row in batch.flows.to_dataset().to_list()], reader


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="day.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write_file


@pytest.mark.parametrize("name", ["day.csv", "day.csv.gz"])
def test_a_flow(write, name):
    rows, _ = read(write(QUIC + ROW, name))
    assert rows == [
        {
            "flow_id": "day#7",
            "label": "youtube",
            "protocol": 17,
            "source_port": 4000,
            "destination_port": 443,
            "payload_length": [1200, 1200, 40],
            "direction": [1, -1, 1],
            "inter_arrival_time": [0, pytest.approx(0.006), pytest.approx(0.007)],
            "packet_count": 42,
            "capture": "day",
        }
    ]


def test_four_rows_and_few_columns(write):
    rows, _ = read(write(YEAR))
    assert rows[0]["payload_length"] == [517, 1448]
    assert rows[0]["packet_count"] == 2
    assert rows[0]["protocol"] is None


@pytest.mark.parametrize(
    ("ppi", "reason"),
    [
        ("[[0], [1]]", "a PPI that is not three or four lists"),
        ("nonsense", "a PPI that is not three or four lists"),
        ("[[0, 1], [1], [5, 5]]", "packet lists of unequal length"),
        ("[[], [], []]", "no packets"),
        ("[[0], [0], [5]]", "a direction that is neither of the two"),
        ("[[0, 0], [0, 1], [0, 5]]", "a direction that is neither of the two"),
        ("[[0, 0], [0, 0], [0, 0]]", "no packets"),
        ("[[0, null], [1, 1], [5, 5]]", "an inter-arrival time that is not finite"),
    ],
)
def test_a_bad_row_is_counted_and_the_others_are_read(write, ppi, reason):
    rows, reader = read(write(YEAR + f'"{ppi}",zoom\nonly one field\n' + YEAR.splitlines()[1]))
    assert len(rows) == 2
    assert reader.skipped == {reason: 1, "a row with more or fewer fields than the header": 1}


def test_an_unknown_first_gap_is_0(write):
    rows, reader = read(write(YEAR.replace("[[0, 6]", "[[null, 6]")))
    assert rows[0]["inter_arrival_time"] == [0, pytest.approx(0.006)]
    assert not reader.skipped


def test_zeros_behind_the_last_packet_are_padding(write):
    rows, _ = read(
        write(YEAR.replace("[[0, 6], [1, -1], [517, 1448], [1, 0]]", "[[0, 6, 0], [1, -1, 0], [517, 9, 0]]"))
    )
    assert rows[0]["payload_length"] == [517, 9]
    assert rows[0]["packet_count"] == 2


def test_another_label_column(write):
    rows, _ = read(write(YEAR.replace("APP", "CATEGORY")), label_column="CATEGORY")
    assert rows[0]["label"] == "zoom"
    with pytest.raises(InputError, match="no column 'APP'"):
        read(write(YEAR.replace("APP", "CATEGORY")))


def test_a_file_cut_off_keeps_what_lies_before(write):
    path = write(YEAR + YEAR.splitlines()[1] + "\n" * 5, "day.csv.gz")
    path.write_bytes(path.read_bytes()[:-6])
    rows, reader = read(path)
    assert rows
    assert "line" in str(reader.broken)


def ppi():
    packets = np.zeros((3, 4, 30))
    packets[0, :3, :2] = [[0, 250], [1, -1], [517, 1448]]
    packets[2, :3, :1] = [[0], [1], [100]]
    return packets


def test_datazoo_arrays():
    flows = from_datazoo(ppi(), ["a", "b", "c"])
    assert flows["payload_length"] == [[517, 1448], [100]]
    assert flows["inter_arrival_time"] == [[0, 0.25], [0]]
    assert flows["label"] == ["a", "c"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([b"a", "b", None], object), ["a", None]),
        (pd.Series(["a", "b", pd.NA]), ["a", None]),
        ([1, "b", float("nan")], ["1", None]),
        (np.array([1.0, 2.0, np.nan]), ["1", None]),
    ],
)
def test_missing_classes_of_datazoo_and_those_in_bytes_or_numbers(labels, names):
    assert from_datazoo(ppi(), labels)["label"] == names


def test_datazoo_frames_flat_or_not():
    import pandas as pd

    packed = pd.DataFrame({"PPI": list(ppi()), "APP": [1, 2, 3], "PROTOCOL": [6, 6, 17]})
    names = [f"{kind}_{place}" for kind in ("IPT", "DIR", "SIZE", "PUSH") for place in range(1, 31)]
    flat = pd.DataFrame(ppi().reshape(3, -1), columns=names).assign(APP=[1, 2, 3], PROTOCOL=[6, 6, 17])
    assert from_datazoo(packed).to_list() == from_datazoo(flat).to_list()
    assert from_datazoo(flat)["protocol"] == [6, 17]


@pytest.mark.parametrize("data", [np.zeros((2, 5, 30)), np.zeros((2, 30)), ppi() / 7])
def test_what_is_not_datazoo(data):
    with pytest.raises(InputError, match="datazoo"):
        from_datazoo(data)
