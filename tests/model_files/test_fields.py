import json

import pytest

from hf_ntg.errors import InputError
from hf_ntg.model_files import fields
from hf_ntg.model_files.fields import (
    ascending,
    check_fields,
    counts,
    flag,
    labels,
    list_of,
    optional,
    read_object,
    whole_numbers,
)
from hf_ntg.ranges import Range


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (Range(0, 5, whole=True), [0, 5], [-1, 6, 1.5, True, "1", None]),
        (Range(0, 5), [0, 2.5], [float("nan"), 10**400, False]),
        (("a", 1), ["a", 1], ["b", True, 1.0]),
        (flag, [True, False], [0, None]),
        (optional(flag), [None, True], [1]),
        (list_of(flag, 2), [[True, False]], [[True], (True, False), [1, 0]]),
        (whole_numbers(0, 9), [[], [0, 4, 9]], [[4, 4], [5, 4], [10], [1.0]]),
        (ascending(0, 1), [[0, 0, 0.5]], [[0.5, 0]]),
        (counts(2), [[0, 3]], [[0, 0], [1], [-1, 2]]),
        (labels, [["a", "b"], ["a", None]], [[], [None, "a"], ["a", "a"], ["\ud800"], [5], "a"]),
    ],
)
def test_rules(tmp_path, rule, good, bad):
    path = tmp_path / "config.json"
    for value in good:
        check_fields(path, {"x": value}, {"x": rule})
    for value in bad:
        with pytest.raises(InputError, match=r"config\.json: the model is damaged .*x "):
            check_fields(path, {"x": value}, {"x": rule})


def test_a_field_that_is_missing_and_one_that_nobody_knows(tmp_path):
    with pytest.raises(InputError, match="has no 'x'"):
        check_fields(tmp_path, {}, {"x": flag})
    check_fields(tmp_path, {"other": None, "more": []}, {})
    for value in (0, "a", [0]):
        with pytest.raises(InputError, match="'other' is not a setting of this model"):
            check_fields(tmp_path, {"other": value}, {})


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"a": 1, "a": 2}', "\xff"])
def test_files_that_hold_no_object(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="the model is damaged or incomplete"):
        read_object(path)


def test_the_size_is_bounded(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"a": "b" * 100}))
    assert read_object(path) == {"a": "b" * 100}
    monkeypatch.setattr(fields, "MAX_BYTES", 50)
    with pytest.raises(InputError, match="larger than"):
        read_object(path)
