import pytest

from hf_ntg import FlowGenerator, InputError
from hf_ntg.commands.app import results
from hf_ntg.commands.counting import count_privately
from hf_ntg.flows.save import save_flows

GIVEN = {"model": "private-n-gram", "epsilon": 2.0, "max_packets": 4, "seed": 0, "resume": True, "overwrite": False}


@pytest.fixture
def source(flows, tmp_path):
    save_flows([flows], tmp_path / "flows.parquet")
    return str(tmp_path / "flows.parquet")


def test_counts_are_saved_and_the_guarantee_is_shown(source, tmp_path, capsys):
    results.as_json = False
    count_privately(source, tmp_path / "model", GIVEN)
    assert "epsilon 2 at delta 1e-05 for one flow of 240" in capsys.readouterr().out
    assert len(FlowGenerator.from_pretrained(tmp_path / "model").generate(30)) == 30
    with pytest.raises(InputError, match="overwrite"):
        count_privately(source, tmp_path / "model", GIVEN)
    count_privately(source, tmp_path / "model", GIVEN | {"overwrite": True, "privacy_unit": "capture"})
    assert FlowGenerator.from_pretrained(tmp_path / "model").privacy["unit"] == "capture"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": 1.0}, "--learning-rate"),
        ({"epsilon": None}, "give --epsilon"),
        ({"epsilon": 1e9}, "epsilon"),
    ],
)
def test_requests_without_meaning_are_refused(source, tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        count_privately(source, tmp_path / "model", GIVEN | given)
    assert not (tmp_path / "model").exists()


def test_other_files_are_not_mixed_with_counts(source, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        count_privately(source, tmp_path / "model", GIVEN | {"overwrite": True})
