import io
from xml.etree import ElementTree

import pytest
from made_flows import table

from hf_ntg import plot_flows
from hf_ntg.report.plots import caption_of, class_scores, svg_of

ODD = [
    "$\\frac$",
    "_^{}",
    "a\0b \x1b[31m",
    "\u202egpj.exe \u05d0\u05d1",
    "\U0001f600 %s {x}",
    "two\nlines",
    "<b>&\"'",
    "x" * 5_000,
]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.filterwarnings("ignore:Matplotlib currently does not support")
def test_figures_take_classes_of_any_name():
    """All names are in one figure, since its drawing takes most of the time."""
    flows = table(*[(name, packets) for name in ODD for packets in (["+40", "-90"], ["+1"])])
    figure = plot_flows(flows, what="lengths")
    figure.savefig(io.BytesIO(), format="png", dpi=30)
    figure.savefig(io.BytesIO(), format="pdf")
    texts = "".join(ElementTree.fromstring(svg_of(figure)).itertext())
    assert "$\\frac$" in texts
    assert "_^{}" in texts
    assert "a\\x00b" in texts
    assert "\\u202egpj" in texts


@pytest.mark.filterwarnings("ignore:Glyph")
def test_scores_of_classes_of_any_name_are_well_formed():
    columns = {name: {"per_class": dict.fromkeys(ODD, 0.5)} for name in ("real", "synthetic")}
    picture = class_scores({"metrics": {"tstr": {"columns": columns}}, "columns": ["real", "synthetic"]})
    assert "_^{}" in "".join(ElementTree.fromstring(picture).itertext())


def test_captions_are_short_and_printable():
    assert caption_of("web") == "web"
    assert caption_of("x" * 61) == "x" * 59 + "…"
    assert caption_of("a\tb") == "a\\tb"
    assert caption_of("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"
