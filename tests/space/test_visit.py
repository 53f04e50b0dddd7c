import zipfile

import pytest

from hf_ntg import FlowGenerator, InputError
from hf_ntg.flows import load_flows, save_flows
from hf_ntg.space.visit import ROW_HEAD, CaptureSettings, RealFlows, as_rows, copies_in_words, make_flows, pack


@pytest.fixture(scope="module")
def generator(tiny_gpt2):
    return FlowGenerator.from_pretrained(tiny_gpt2)


def test_chosen_classes_share_the_flows(generator):
    made = make_flows(generator, ["web", "dns"], 7, 1, {"temperature": None, "scheduler": ""})
    assert [list(made["label"]).count(label) for label in ("web", "dns")] == [4, 3]
    assert len(set(make_flows(generator, [], 60, 1, {})["label"])) == 3, "none means the mix of the training flows"


@pytest.mark.parametrize(
    ("count", "seed", "field"),
    [(0, 0, "Flows"), (10_001, 0, "Flows"), (None, 0, "Flows"), (5, -1, "Seed"), (5, None, "Seed")],
)
def test_a_field_out_of_its_range_is_named(generator, count, seed, field):
    with pytest.raises(InputError, match=f"{field}: give"):
        make_flows(generator, ["web"], count, seed, {})


def test_rows_show_the_flows(generator):
    flows = make_flows(generator, ["web"], 12, 0, {})
    rows = as_rows(flows)
    assert all(len(row) == len(ROW_HEAD) for row in rows)
    assert [len(row[-1].split()) for row in rows] == [len(one) for one in flows["payload_length"]]


def test_copies_are_counted_where_the_training_flows_are_at_hand(generator, flows, tmp_path):
    made = make_flows(generator, [], 40, 0, {})
    assert "not known here" in copies_in_words(made, RealFlows.next_to(tmp_path / "model"))
    (tmp_path / "model").mkdir()
    for part, rows in (("train", range(0, 240, 2)), ("test", range(1, 240, 2))):
        save_flows(flows.select(rows), tmp_path / "flows" / f"{part}.parquet")
    real = RealFlows.next_to(tmp_path / "model")
    assert "of real held-out flows" in copies_in_words(made, real)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"rate": 0}, "Flows a second"),
        ({"rate": None}, "Flows a second"),
        ({"start": "yesterday"}, "Start of the capture"),
        ({"clients": "8.8.8.0/24"}, "Capture"),
        ({"servers": "here"}, "Capture"),
    ],
)
def test_a_capture_setting_out_of_its_range_is_named(generator, tmp_path, settings, field):
    with pytest.raises(InputError, match=f"{field}: "):
        pack(make_flows(generator, ["web"], 5, 0, {}), tmp_path, 0, CaptureSettings(**settings))


def test_the_archive_holds_every_format(generator, tmp_path):
    flows = make_flows(generator, ["web"], 5, 0, {})
    with zipfile.ZipFile(pack(flows, tmp_path, 0)) as packed:
        packed.extractall(tmp_path / "out")
    assert load_flows(tmp_path / "out" / "synthetic.parquet")["payload_length"] == flows["payload_length"]
    assert (tmp_path / "out" / "synthetic.pcapng").stat().st_size > 0
    assert any(path.name.endswith("flows.csv") for path in (tmp_path / "out").iterdir())
