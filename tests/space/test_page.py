"""The page: what it draws and hands out; and what it says where Gradio is missing."""

import sys

import numpy as np
import pytest

from hf_ntg import FlowGenerator, InputError
from hf_ntg.space import launch
from hf_ntg.space.page import ALL_CLASSES, as_rows, draw
from hf_ntg.space.picture import draw_flows


@pytest.fixture(scope="module")
def generator(tiny_gpt2):
    return FlowGenerator.from_pretrained(tiny_gpt2)


def test_without_gradio_it_says_what_to_install(monkeypatch, tiny_gpt2):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r"pip install 'hf-ntg\[demo\]'"):
        launch(str(tiny_gpt2))


def test_the_default_model_is_a_folder_and_not_fetched(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gradio", type(sys)("gradio"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="make it by 'ntg quickstart'"):
        launch("quickstart/model")


def test_flows_are_drawn_as_asked(generator):
    assert set(draw(generator, "web", 5, 1)["label"]) == {"web"}
    assert len(set(draw(generator, ALL_CLASSES, 30, 1)["label"])) == 3
    for count, seed in ((0, 0), (10_001, 0), (5, -1)):
        with pytest.raises(InputError):
            draw(generator, "web", count, seed)


def test_rows_and_picture_show_the_flows(generator):
    flows = draw(generator, ALL_CLASSES, 12, 0)
    rows = as_rows(flows)
    assert len(rows) == 12
    assert [row[1] for row in rows] == list(flows["label"])
    assert [len(row[-1].split()) for row in rows] == [len(one) for one in flows["payload_length"]]
    figure = draw_flows(flows)
    drawn = [line.get_ydata() for axes in figure.axes for line in axes.get_lines() if len(line.get_xdata())]
    signed = np.multiply(flows[0]["payload_length"], flows[0]["direction"])
    assert any(np.array_equal(line, signed) for line in drawn)


@pytest.mark.slow
def test_the_page_answers(generator):
    gradio = pytest.importorskip("gradio")
    client_of = pytest.importorskip("gradio_client")
    from hf_ntg.space import build_page

    assert gradio.__version__
    page = build_page(generator, "tiny")
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, inbrowser=False)
    try:
        picture, rows, table, capture = client_of.Client(url, verbose=False).predict("web", 7, 3, api_name="/draw")
        assert picture["plot"].startswith("data:image")
        assert len(rows["data"]) == 7
        assert table.endswith(".parquet")
        assert capture.endswith(".pcapng")
    finally:
        page.close()
