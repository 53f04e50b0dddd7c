import importlib.util
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "build_api_reference.py"


@pytest.mark.slow
def test_it_builds_without_a_warning_and_shows_the_public_names(tmp_path):
    pytest.importorskip("pdoc")
    spec = importlib.util.spec_from_file_location("build_api_reference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.build(tmp_path)
    shown = set(re.findall(r'<section id="(\w+)"', (tmp_path / "hf_ntg.html").read_text(encoding="utf-8")))
    assert {"FlowGenerator", "TrainingConfig", "load_flows"} <= shown
    assert (tmp_path / "hf_ntg" / "flows" / "split.html").is_file()
