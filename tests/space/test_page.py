"""The page: what it says where Gradio or a model is missing, and what it answers."""

import sys
import zipfile

import pytest

from hf_ntg import FlowGenerator, InputError
from hf_ntg.space import launch


def test_without_gradio_it_says_what_to_install(monkeypatch, tiny_gpt2):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r"pip install 'hf-ntg\[demo\]'"):
        launch(str(tiny_gpt2))


def test_the_default_model_is_a_folder_and_not_fetched(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gradio", type(sys)("gradio"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="make it by 'ntg quickstart'"):
        launch("quickstart/model")


@pytest.mark.slow
def test_the_page_answers(tiny_gpt2):
    pytest.importorskip("gradio")
    client_of = pytest.importorskip("gradio_client")
    from hf_ntg.space import build_page

    page = build_page(FlowGenerator.from_pretrained(tiny_gpt2), "tiny")
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, inbrowser=False)
    try:
        client = client_of.Client(url, verbose=False)
        packets, times, copies, rows, archive = client.predict(["web"], 7, 3, 10, 1.0, api_name="/generate")
        assert packets["plot"].startswith("data:image")
        assert times["plot"].startswith("data:image")
        assert "not known here" in copies
        assert len(rows["data"]) == 7
        with zipfile.ZipFile(archive) as packed:
            assert {"synthetic.parquet", "synthetic.csv", "synthetic.jsonl", "synthetic.pcapng"} <= set(
                packed.namelist()
            )
        with pytest.raises(Exception, match="Seed: give a whole number from 0"):
            client.predict(["web"], 20, 2**63, 10, 1.0, api_name="/generate")
    finally:
        page.close()
