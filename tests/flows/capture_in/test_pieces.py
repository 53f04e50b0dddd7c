"""Captures that were rotated into several files."""

import made_captures as make
import pytest

from hf_ntg.flows.capture_in.pcap import read_pcap
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.load import load_flows
from hf_ntg.flows.reading_options import ReadingOptions

SIZES = [0, 0, 0, 517, 1400, 80, 900, 0, 0, 0]
BASE = 1_700_000_000


def talk(begin=BASE, ports=(40000, 443)):
    return make.conversation([517, -1400, 80, -900], start=begin, ports=ports)


def write(folder, names, packets, link=make.RAW_IP):
    """The packets in files of these names, one piece each."""
    folder.mkdir(parents=True, exist_ok=True)
    bounds = [round(place * len(packets) / len(names)) for place in range(len(names) + 1)]
    for name, begin, end in zip(names, bounds[:-1], bounds[1:], strict=True):
        (folder / name).write_bytes(make.pcap(packets[begin:end], link=link))


def imported(sources, tmp_path, num_proc=1, **rules):
    report = import_flows(
        sources, tmp_path / "o.parquet", ReadingOptions(labels=LabelRules(**rules)), num_proc=num_proc
    )
    return load_flows(tmp_path / "o.parquet"), report


NAMES = {
    "ring buffer": ["r_00000.pcap", "r_00001.pcap", "r_00002.pcap"],
    "tcpdump -C": ["dump.pcap", "dump.pcap1", "dump.pcap2"],
    "tcpdump -W": ["dump0", "dump1", "dump2"],
    "dumpcap": ["a_00001_20240101120000.pcapng", "a_00002_20240101120009.pcapng", "a_00003_20240101120100.pcapng"],
    "any names": ["zebra.trace", "monkey.old", "apple"],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_pieces_are_one_capture(tmp_path, names):
    write(tmp_path / "in", names, talk())
    flows, report = imported([tmp_path / "in"], tmp_path)
    assert flows["payload_length"] == [SIZES]
    assert flows["destination_port"] == [443]
    assert len(set(flows["capture"])) == 1
    assert report.left_out == 0
    assert report.flows == 1
    assert "noticed 3: files that one capture was rotated into, read as one capture" in report.remarks()


def test_pieces_given_one_by_one_in_any_order(tmp_path):
    write(tmp_path, NAMES["ring buffer"], talk())
    flows, _ = imported([tmp_path / name for name in NAMES["ring buffer"][::-1]], tmp_path)
    assert flows["payload_length"] == [SIZES]
    assert flows["capture"] == ["r_00000"]
    files = [tmp_path / name for name in NAMES["ring buffer"][::-1]]
    assert read_pcap(files)["payload_length"] == [SIZES]


@pytest.mark.parametrize("place", range(1, 10))
def test_a_capture_may_be_cut_anywhere(tmp_path, place):
    packets = [(time, data) for time, data in talk()]
    for name, part in (("r_0.pcap", packets[:place]), ("r_1.pcap", packets[place:])):
        (tmp_path / name).write_bytes(make.pcap(part, link=make.RAW_IP))
    flows, _ = imported([tmp_path / "r_0.pcap", tmp_path / "r_1.pcap"], tmp_path)
    assert flows["payload_length"] == [SIZES]


def test_a_repeated_syn_continues_and_another_one_does_not(tmp_path):
    syn, *rest = talk()
    (tmp_path / "r_0.pcap").write_bytes(make.pcap([syn], link=make.RAW_IP))
    (tmp_path / "r_1.pcap").write_bytes(make.pcap([(BASE + 0.005, syn[1]), *rest], link=make.RAW_IP))
    flows, report = imported([tmp_path / "r_0.pcap", tmp_path / "r_1.pcap"], tmp_path)
    assert flows["payload_length"] == [[0, *SIZES]]
    other = make.conversation([517, -1400, 80, -900], start=BASE + 1, isn=(7, 8))
    (tmp_path / "r_1.pcap").write_bytes(make.pcap(other, link=make.RAW_IP))
    flows, report = imported([tmp_path / "r_0.pcap", tmp_path / "r_1.pcap"], tmp_path)
    assert flows["payload_length"] == [[0], SIZES]
    assert not any("rotated" in line for line in report.remarks())


@pytest.mark.parametrize(
    ("names", "pause", "captures"),
    [
        (["a_00001_20240101120000.pcap", "a_00002_20240101120009.pcap"], 30, 1),
        (["dump.pcap", "dump.pcap1"], 30, 1),
        (["dump.pcap09.gz", "dump.pcap10.gz"], 30, 1),
        (["dump.pcap1", "dump.pcap3"], 30, 2),
        (["a_00001_20240101120000.pcap", "b_00002_20240101120009.pcap"], 30, 2),
        (["a_00001_20240101120000.pcap", "a_00002_20240101120009.pcap"], 300, 2),
        (["a1.pcap", "a2.pcap"], 30, 2),
    ],
)
def test_names_of_rings_join_files_between_whose_flows_they_were_cut(tmp_path, names, pause, captures):
    for place, name in enumerate(names):
        packets = talk(BASE + pause * place, ports=(40000 + place, 443))
        (tmp_path / name).write_bytes(make.pcap(packets, link=make.RAW_IP))
    flows, _ = imported([tmp_path / name for name in names], tmp_path)
    assert flows["payload_length"] == [SIZES, SIZES]
    assert len(set(flows["capture"])) == captures


def test_a_piece_in_which_the_connection_is_silent(tmp_path):
    """A flow runs on from the first to the third file; the second, between them, has another."""
    first, last = talk()[:4], [(time + 20, data) for time, data in talk()[4:]]
    other = talk(BASE + 5, ports=(40001, 443))
    for name, packets in zip(NAMES["ring buffer"], (first, other, last), strict=True):
        (tmp_path / name).write_bytes(make.pcap(packets, link=make.RAW_IP))
    flows, _ = imported([tmp_path / name for name in NAMES["ring buffer"]], tmp_path)
    assert flows["payload_length"] == [SIZES, SIZES]
    assert set(flows["capture"]) == {"r_00000"}


def test_several_processes_read_the_same(tmp_path):
    write(tmp_path / "in", NAMES["ring buffer"], talk())
    (tmp_path / "in" / "other.pcap").write_bytes(make.pcap(talk(BASE + 999), link=make.RAW_IP))
    alone, _ = imported([tmp_path / "in"], tmp_path)
    together, _ = imported([tmp_path / "in"], tmp_path, num_proc=2)
    assert alone.to_list() == together.to_list()
    assert alone["capture"] == ["other", "r_00000"]


@pytest.mark.parametrize(
    ("names", "pause", "rules"),
    [
        (["youtube.pcap", "netflix.pcap"], 30, {}),  # two captures one after another, and a connection that stays open
        (["r_0.pcap", "r_1.pcap"], 130, {}),  # silence beyond the idle time-out
        (["a/r_0.pcap", "b/r_1.pcap"], 0.01, {}),
        (["r_web1.pcap", "r_dns2.pcap"], 0.01, {"pattern": "r_([a-z]+)"}),  # the user says that their classes differ
    ],
)
def test_captures_that_are_not_pieces(tmp_path, names, pause, rules):
    first, second = talk()[:5], [(time + pause, data) for time, data in talk()[5:]]
    for name, packets in zip(names, (first, second), strict=True):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(make.pcap(packets, link=make.RAW_IP))
    flows, report = imported([tmp_path / "in"], tmp_path, **rules)
    assert sorted(map(len, flows["payload_length"])) == [5, 5]
    assert len(set(flows["capture"])) == 2
    assert not any("rotated" in line for line in report.remarks())


def test_a_piece_that_breaks_off_costs_its_rest_alone(tmp_path):
    write(tmp_path, NAMES["ring buffer"], talk())
    middle = tmp_path / NAMES["ring buffer"][1]
    middle.write_bytes(middle.read_bytes()[:-5])
    flows, report = imported([tmp_path / name for name in NAMES["ring buffer"]], tmp_path)
    assert flows["payload_length"] == [[0, 0, 0, 517, 1400, 80, 0, 0, 0]]
    assert "r_00001.pcap: byte" in report.broken[0].error
