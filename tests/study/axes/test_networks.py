import numpy as np
import pytest
import torch
from made_flows import table

from hf_ntg.metrics.views import view_flows
from hf_ntg.study.axes import networks
from hf_ntg.study.axes.networks import PacketCNN, Schedule, packet_inputs, train_network

SHORT = Schedule(steps=60, batch=32, check_every=20)


def view_of(*flows, max_packets=3):
    return view_flows(table(*flows), max_packets=max_packets)[1][0]


def test_symbols_tell_directions_lengths_and_ends_apart():
    view = view_of(("a", ["+0", "-0", 7], [0, 1e-6, 1]), ("a", [9_000], [0]))
    symbols, times = packet_inputs(view, timed=True)
    assert symbols.tolist() == [[1, 2, 15], [3_001, 0, 0]]
    assert times[0].tolist() == pytest.approx([0, np.log10(2) / 6, 1], abs=1e-5)
    assert packet_inputs(view, timed=False)[1].abs().sum() == 0


def test_fixed_features_of_a_symbol():
    features = PacketCNN(3, 2).features
    assert features[0].abs().sum() == 0  # a flow that has ended
    up, down = features[1 + 2 * 1_460], features[2 + 2 * 1_460]
    assert up[:4].tolist() == pytest.approx([1, 1, 1, 1])
    assert down[:4].tolist() == pytest.approx([-1, 1, -1, -1])
    assert torch.equal(up[4:], down[4:])
    assert len(torch.unique(features, dim=0)) == len(features)


def test_unseen_lengths_are_read_by_their_neighbours():
    """Even lengths in training, odd ones in the test: the learned embedding knows none of them."""
    train = view_of(*[("a", [k]) for k in range(100, 300, 2)], *[("b", [k]) for k in range(700, 900, 2)])
    test = view_of(*[("a", [k]) for k in range(101, 300, 20)], *[("b", [k]) for k in range(701, 900, 20)])
    torch.manual_seed(0)
    ask = train_network(PacketCNN(3, 2), packet_inputs(train, False), train.classes, SHORT, seed=0)
    assert (ask(packet_inputs(test, False)) == test.classes).mean() > 0.9


def test_rare_classes_are_drawn_more_often_than_they_occur():
    weights = networks._draw_weights(np.array([0] * 90 + [1] * 10), balance=0.5)
    assert weights[90:].sum() == pytest.approx(np.sqrt(10) / (np.sqrt(90) + np.sqrt(10)))
    even = networks._draw_weights(np.array([0] * 90 + [1] * 10), balance=1)
    assert even[90:].sum() == pytest.approx(0.5)


def test_the_best_weights_on_held_out_flows_are_kept(monkeypatch):
    """Scores fall after the first look: the weights of the first look are the result."""
    view = view_of(*[("a", [k]) for k in range(100, 120)], *[("b", [k]) for k in range(700, 720)])
    looks = iter([0.9, 0.5, 0.1])
    seen = []

    def score(*_, **__):
        seen.append(net.head[-1].bias.detach().clone())
        return next(looks)

    monkeypatch.setattr(networks, "f1_score", score)
    net = PacketCNN(3, 2)
    train_network(net, packet_inputs(view, False), view.classes, SHORT, seed=0)
    assert len(seen) == 3
    assert torch.equal(net.head[-1].bias, seen[0])
    assert not torch.equal(seen[0], seen[-1])
