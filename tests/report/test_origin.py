from hf_ntg.report.origin import describe_model, origin_in_words, today


def test_a_trained_model_is_described(tiny_gpt2):
    found = describe_model(tiny_gpt2)
    assert (found["family"], found["epochs"], found["classes"]) == ("gpt2", 2, 3)
    words = dict(origin_in_words({"model": found, "judged": today(), "sets": {"synthetic": {"flows": 7}}}))
    assert words["Model"].endswith(" (gpt2)")
    assert "2 epochs" in words["Training"]
    assert words["When"] == f"trained {found['trained']}, judged {today()}"


def test_flows_with_a_mark_and_without(tmp_path):
    sets = {"synthetic": {"flows": 7}}
    mark = {
        "model": "org/m",
        "revision": "sha256:0123456789abcdef",
        "seed": 3,
        "command": "ntg run",
        "hf_ntg": "1",
    }
    words = dict(origin_in_words({"made_by": [mark], "sets": sets}))
    assert words == {
        "Model": "org/m (weights sha256:0123456789ab), hf_ntg 1",
        "Draw": "seed 3; 7 flows",
        "Command": "ntg run",
    }
    assert "not known" in dict(origin_in_words({"made_by": [], "sets": sets}))["Model"]
    assert describe_model(tmp_path) == {"name": tmp_path.name}
