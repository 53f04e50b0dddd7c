import pytest

from hf_ntg import FlowGenerator, InputError, plot_flows
from hf_ntg.flows import FlowArrays


@pytest.fixture(scope="module")
def synthetic(tiny_gpt2):
    return FlowGenerator.from_pretrained(tiny_gpt2).generate(60, seed=1)


@pytest.mark.parametrize("what", ["packets", "times", "lengths"])
def test_a_panel_for_each_class_with_both_sets_named(flows, synthetic, what, tmp_path):
    figure = plot_flows(flows, synthetic, what, max_packets=6)
    titles = {axes.get_title(loc="left") for axes in figure.axes} - {""}
    assert titles == set(flows["label"])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["real", "synthetic"]
    for suffix in ("png", "pdf", "svg"):
        figure.savefig(tmp_path / f"flows.{suffix}")
        assert (tmp_path / f"flows.{suffix}").stat().st_size > 5_000


def test_one_set_and_chosen_classes(flows, synthetic):
    figure = plot_flows(synthetic=synthetic, classes=["web"])
    assert {axes.get_title(loc="left") for axes in figure.axes} - {""} == {"web"}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["synthetic"]


def test_names_are_shown_literally(flows):
    odd = flows.map(lambda row: {"label": "$\\frac" if row["label"] == "web" else row["label"]})
    figure = plot_flows(odd)
    assert "$\\frac" in {axes.get_title(loc="left") for axes in figure.axes}
    figure.draw_without_rendering()


def test_what_cannot_be_plotted(flows):
    with pytest.raises(InputError, match="give real flows"):
        plot_flows()
    with pytest.raises(InputError, match="no plot of 'ports'"):
        plot_flows(flows, what="ports")
    with pytest.raises(InputError, match="none is of the classes"):
        plot_flows(flows, classes=["gopher"])
    bare = FlowArrays.from_dataset(flows.select_columns(["label", "payload_length", "direction"]))
    with pytest.raises(InputError, match="no inter-arrival times"):
        plot_flows(bare, what="times")
