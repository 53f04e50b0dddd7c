import shutil

import pytest

from hf_ntg import FlowGenerator, InputError, write_pcap
from hf_ntg.flows import save_flows
from hf_ntg.flows.arrays import as_arrays
from hf_ntg.space import upload
from hf_ntg.space.about import about_model
from hf_ntg.space.draw import Draws, Request
from hf_ntg.space.upload import read_upload
from hf_ntg.space.visit import RealFlows


@pytest.fixture(scope="module")
def generator(tiny_gpt2):
    return FlowGenerator.from_pretrained(tiny_gpt2)


@pytest.fixture
def draws(generator, flows):
    real = RealFlows(as_arrays(flows.select(range(120)), "train"), as_arrays(flows.select(range(120, 240)), "test"))
    return Draws({"m": (generator, real)})


@pytest.fixture(scope="module")
def capture(flows, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "own.pcap"
    write_pcap(flows.filter(lambda row: row["label"] == "web"), path)
    path.with_suffix(".flows.csv").unlink()  # which would label them
    return path


def test_the_same_request_gets_the_same_answer(draws):
    first = draws.answer(Request("m", ("web",), 20, 0))
    assert draws.answer(Request("m", ("web",), 20.0, 0)) is first
    other = draws.answer(Request("m", ("web",), 20, 1))
    assert other.archive != first.archive
    assert "real held-out flows" in first.status
    assert 'alt="Payload length' in first.packets
    assert "these classes: web" in first.packets


def test_only_so_many_answers_are_kept(draws, monkeypatch):
    monkeypatch.setattr("hf_ntg.space.draw._KEPT", 1)
    first = draws.answer(Request("m", ("web",), 5, 0))
    draws.answer(Request("m", ("web",), 5, 1))
    assert draws.answer(Request("m", ("web",), 5, 0)) is not first


def test_own_flows_take_the_place_of_the_real_ones_and_nothing_is_kept(draws, capture):
    answer = draws.answer(Request("m", ("web",), 20, 0, upload=str(capture)))
    assert "that you uploaded" in answer.status
    assert not draws._kept


def test_uploads_are_bounded_and_named(capture, flows, tmp_path, monkeypatch):
    assert set(read_upload(capture, ["web"]).label) == {"web"}
    with pytest.raises(InputError, match="Your flows: they have no labels; choose the one class"):
        read_upload(capture, ["web", "dns"])
    save_flows(flows, tmp_path / "flows.parquet")
    assert set(read_upload(tmp_path / "flows.parquet", ["web", "dns"]).label) == {"web", "dns"}
    with pytest.raises(InputError, match="not among those shown"):
        read_upload(tmp_path / "flows.parquet", ["gopher"])
    (tmp_path / "broken.pcap").write_bytes(b"no capture at all")
    with pytest.raises(InputError, match="Your flows: ") as error:
        read_upload(tmp_path / "broken.pcap", ["web"])
    assert str(tmp_path) not in str(error.value)
    shutil.copy(capture, tmp_path / "own.exe")
    with pytest.raises(InputError, match="give one of"):
        read_upload(tmp_path / "own.exe", ["web"])
    monkeypatch.setattr(upload, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="compare large files with"):
        read_upload(capture, ["web"])


def test_the_model_is_described(generator):
    text = about_model(generator, "my_model")
    for part in ("my\\_model", "Trained on", "2 epochs", "up to 6 packets", "Differential privacy: none"):
        assert part in text
