"""The page: what it says where Gradio or a model is missing, and what it answers."""

import sys
import zipfile

import pytest

from hf_ntg import FlowGenerator, InputError, load_flows
from hf_ntg.space import launch
from hf_ntg.space.page import _shown_name


def test_without_gradio_it_says_what_to_install(monkeypatch, tiny_gpt2):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r"pip install 'hf-ntg\[demo\]'"):
        launch(str(tiny_gpt2))


def test_visitors_do_not_see_where_the_model_is(tiny_gpt2):
    assert _shown_name("org/model") == "org/model"
    assert _shown_name("loopback") == "loopback"
    assert _shown_name(str(tiny_gpt2)).count("/") == 1


@pytest.mark.slow
def test_the_page_answers_with_a_capture_that_can_be_read(tiny_gpt2, tmp_path):
    pytest.importorskip("gradio")
    client_of = pytest.importorskip("gradio_client")
    from hf_ntg.space import build_page

    page = build_page({"tiny": (FlowGenerator.from_pretrained(tiny_gpt2), None)})
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, inbrowser=False)
    try:
        client = client_of.Client(url, verbose=False)
        capture = [10, "10.0.0.0/8", "203.0.113.0/24", "0", None, 1.0, 5, ""]
        status, packets, times, rows, archive = client.predict("tiny", ["web"], 7, 3, *capture, api_name="/generate")
        assert "data:image/png" in packets
        assert "data:image/png" in times
        assert "not known here" in status
        assert len(rows["data"]) == 7
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert {"synthetic.parquet", "synthetic.csv", "synthetic.jsonl", "synthetic.pcapng"} <= names
        (tmp_path / "synthetic.flows.csv").unlink()  # the capture itself holds the labels
        assert load_flows(tmp_path / "synthetic.pcapng")["label"] == ["web"] * 7
        with pytest.raises(Exception, match="Seed: give a whole number from 0"):
            client.predict("tiny", ["web"], 20, 2**63, *capture, api_name="/generate")
    finally:
        page.close()
