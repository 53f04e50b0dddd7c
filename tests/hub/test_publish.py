import pytest

from hf_ntg.errors import InputError
from hf_ntg.hub.publish import kind_of


def test_what_is_published_decides_the_kind(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "flow_grammar.json").touch()
    (tmp_path / "flows" / "config").mkdir(parents=True)
    (tmp_path / "flows" / "config" / "train.parquet").touch()
    assert kind_of(str(tmp_path / "model")) == "model"
    assert kind_of(str(tmp_path / "flows")) == kind_of(str(tmp_path / "flows/config/train.parquet")) == "dataset"
    assert kind_of("flow_jsd") == "space"


def test_what_cannot_be_published_is_named(tmp_path):
    with pytest.raises(InputError, match="holds neither a model"):
        kind_of(str(tmp_path))
    with pytest.raises(InputError, match="no such folder or file, no metric"):
        kind_of(str(tmp_path / "none"))
