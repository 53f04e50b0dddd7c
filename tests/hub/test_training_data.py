import pytest

from hf_ntg.errors import InputError
from hf_ntg.hub.training_data import TrainingData


def test_a_description_comes_back(tmp_path):
    assert TrainingData.load(tmp_path) is None
    data = TrainingData("flows of a lab, «naïve»", notes=["one"], complete=False)
    data.save(tmp_path)
    assert TrainingData.load(tmp_path) == data


@pytest.mark.parametrize("text", ["[", "{}", '{"name": "a", "other": 1}', "[1]"])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "training_data.json").write_text(text)
    with pytest.raises(InputError, match=r"training_data\.json: the model is damaged or incomplete"):
        TrainingData.load(tmp_path)
