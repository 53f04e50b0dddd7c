import json

import pytest

from hf_ntg.privacy.guarantee import guarantee_in_words, read_guarantee

FACTS = {"epsilon": 8.0, "delta": 1e-5, "unit": "flow"}


def test_a_guarantee_is_read_from_the_record(tmp_path):
    assert read_guarantee(tmp_path) is None
    (tmp_path / "training_run.json").write_text(json.dumps({"privacy": FACTS}))
    assert read_guarantee(tmp_path) == FACTS
    assert guarantee_in_words(FACTS) == "epsilon 8, delta 1e-05 for one flow"


@pytest.mark.parametrize("record", ["{", "[]", "{}", '{"privacy": {"epsilon": 8}}', '{"privacy": 8}'])
def test_a_damaged_record_is_no_guarantee(tmp_path, record):
    (tmp_path / "training_run.json").write_text(record)
    assert read_guarantee(tmp_path) is None
