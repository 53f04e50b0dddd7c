"""Our metrics beside those of NTG-Bench (by its formulas; it is no package), prdc and SDMetrics, on the same flows."""

import numpy as np
import pytest
from made_flows import table
from scipy.spatial.distance import cdist, jensenshannon
from scipy.stats import wasserstein_distance

from hf_ntg.metrics.copies import once_seen_copies
from hf_ntg.metrics.distance import length_distance
from hf_ntg.metrics.divergence import flow_jsd, flow_tv
from hf_ntg.metrics.neighbours import coverage, embed_flows, nearest_distance
from hf_ntg.metrics.views import view_flows
from hf_ntg.metrics.whole import correlation_difference


def one_packet_flows(seed: int, flows: int = 300, high: int = 6):
    rng = np.random.default_rng(seed)
    return table(*(("a", [int(length)]) for length in rng.integers(0, high, flows)))


def lengths_of(flows) -> np.ndarray:
    return np.concatenate([row["payload_length"] for row in flows])


def continuous(seed: int, flows: int = 200):
    """Flows of three packets whose lengths hardly recur."""
    rng = np.random.default_rng(seed)
    return table(*(("a", packets.tolist()) for packets in rng.integers(1, 60_000, (flows, 3))))


def test_ntg_benchs_jsd_is_a_distance_in_nats():
    """Its figure is the root of the divergence, natural log: ours is its square over ln 2."""
    real, synthetic = one_packet_flows(0), one_packet_flows(1, high=9)
    counts = [np.bincount(lengths_of(flows), minlength=9) for flows in (real, synthetic)]
    theirs = jensenshannon(*counts)
    ours = flow_jsd(real, synthetic, max_packets=1)["overall"]
    assert ours == pytest.approx(theirs**2 / np.log(2))
    assert theirs > 1.7 * ours  # 0.39 for 0.22 bits


def test_ntg_benchs_earth_mover_does_not_see_how_far_mass_moves():
    """It compares the heights of two histograms' cumulative sums, on bins of the real range: bounded, and blind beyond.

    A shift by 100 or by 1,000 bytes scores the same 0.53; ours is the shift.
    """
    real = one_packet_flows(0, high=50)
    scores = []
    for shift in (100, 1_000):
        moved = table(*(("a", [int(length) + shift]) for length in lengths_of(real)))
        assert length_distance(real, moved)["overall"] == pytest.approx(shift)
        heights, bins = np.histogram(lengths_of(real), bins="fd")
        other, _ = np.histogram(lengths_of(moved), bins=bins)
        scores.append(wasserstein_distance(np.cumsum(heights) / len(real), np.cumsum(other) / len(moved)))
    assert scores[0] == scores[1] < 1


def test_ntg_benchs_correlation_distance_sums_where_ours_averages():
    """Frobenius norm of the difference, each pair counted twice, growing with the number of pairs."""
    real, synthetic = continuous(0), continuous(1)
    points = [embed_flows(view) for view in view_flows(real, synthetic, max_packets=3)[1]]
    apart = np.corrcoef(points[0].T) - np.corrcoef(points[1].T)
    theirs = np.linalg.norm(apart)
    ours = correlation_difference(real, synthetic, max_packets=3)["overall"]
    assert ours == pytest.approx(np.abs(apart[np.triu_indices(3, 1)]).mean())
    assert np.sqrt(2 * 3) * ours <= theirs


@pytest.mark.interop
def test_prdc_agrees_where_no_flow_recurs_and_calls_copies_uncovered_where_they_do():
    """prdc (and NTG-Bench, which calls it) asks for a distance below the radius, we for one up to it.

    Real flows recur: a flow that has five copies has a ball of radius 0, and prdc finds the set not to cover itself.
    """
    compute_prdc = pytest.importorskip("prdc").compute_prdc

    def theirs(real, synthetic):  # prdc measures Euclidean distances: on one packet they are ours
        points = [embed_flows(view) for view in view_flows(real, synthetic, max_packets=1)[1]]
        return compute_prdc(*points, nearest_k=5)

    distinct = [table(*(("a", [k]) for k in range(start, 6_000, 20))) for start in (3, 10)]
    ours = coverage(*distinct, max_packets=1)
    assert {name: ours[name] for name in ("precision", "recall", "density", "coverage")} == pytest.approx(
        theirs(*distinct), abs=0.02
    )
    recurring = one_packet_flows(0)
    assert coverage(recurring, recurring, max_packets=1)["coverage"] == 1
    assert theirs(recurring, recurring)["coverage"] == 0


@pytest.mark.interop
def test_sdmetrics_columns():
    """KSComplement and TVComplement are one less ours, CorrelationSimilarity one less half of ours."""
    pytest.importorskip("sdmetrics")
    import pandas as pd
    from sdmetrics.column_pairs import CorrelationSimilarity
    from sdmetrics.single_column import KSComplement, TVComplement

    real, synthetic = one_packet_flows(0), one_packet_flows(1, high=9)
    columns = [pd.Series(lengths_of(flows)) for flows in (real, synthetic)]
    statistic = length_distance(real, synthetic)["kolmogorov_smirnov"]["overall"]
    assert KSComplement.compute(*columns) == pytest.approx(1 - statistic)
    variation = flow_tv(real, synthetic, max_packets=1)["overall"]
    assert TVComplement.compute(*(column.astype(str) for column in columns)) == pytest.approx(1 - variation)
    sets = continuous(0), continuous(1)
    points = [embed_flows(view)[:, :2] for view in view_flows(*sets, max_packets=2)[1]]
    frames = [pd.DataFrame(own, columns=["one", "two"]) for own in points]
    ours = correlation_difference(*sets, max_packets=2)["overall"]
    assert CorrelationSimilarity.compute(*frames, coefficient="Pearson") == pytest.approx(1 - ours / 2)


@pytest.mark.interop
def test_sdmetrics_novelty():
    """NewRowSynthesis takes numbers within 1 % for equal by default; otherwise it is one less our copies."""
    pytest.importorskip("sdmetrics")
    import pandas as pd
    from sdmetrics.single_table import NewRowSynthesis

    real = continuous(0)
    half = real.select(range(100))
    nudged = half.map(lambda row: {"payload_length": [length + 1 for length in row["payload_length"]]})
    mixed = table(*(("a", row["payload_length"]) for row in [*half, *nudged]))
    metadata = {"columns": {f"p{k}": {"sdtype": "numerical"} for k in range(3)}}

    def theirs(**options):
        frames = [
            pd.DataFrame([row["payload_length"] for row in flows], columns=["p0", "p1", "p2"], dtype=float)
            for flows in (real, mixed)
        ]
        return NewRowSynthesis.compute(*frames, metadata, **options)

    assert once_seen_copies(real, mixed, real)["once_seen"] == 0.5
    assert theirs(numerical_match_tolerance=1e-9) == pytest.approx(0.5)
    assert theirs() < 0.1


@pytest.mark.interop
def test_sdmetrics_distance_to_closest_record():
    """Their distance is a mean over columns, each over its range in the real data; ours is per packet in one scale.

    On columns of equal known range the two are in proportion, flow by flow.
    """
    pytest.importorskip("sdmetrics")
    import pandas as pd
    from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr

    real, synthetic = continuous(0), continuous(1)
    views = view_flows(real, synthetic, max_packets=3)[1]
    points = [embed_flows(view) for view in views]
    names = ["one", "two", "three"]
    metadata = {"columns": {name: {"sdtype": "numerical"} for name in names}}
    frames = [pd.DataFrame(own, columns=names) for own in points]
    theirs = calculate_dcr(frames[1], frames[0], metadata)
    ranges = np.ptp(points[0], axis=0)
    scaled = cdist(points[1] / ranges, points[0] / ranges, "cityblock").min(axis=1) / 3
    assert theirs.to_numpy() == pytest.approx(scaled, abs=1e-6)
    ours = nearest_distance(real, synthetic, max_packets=3)["overall"]
    assert ours == pytest.approx(theirs.mean() * ranges.mean(), rel=0.02)
