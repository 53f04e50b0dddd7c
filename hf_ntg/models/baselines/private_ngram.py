"""PrivateNGram: a chain of packets for each class, from counts with noise: differentially private."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from datasets import Dataset

from hf_ntg.codecs.flow_headers import OTHER, draw_client_ports, draw_server_ports, places_in
from hf_ntg.codecs.flow_labels import class_names, class_places
from hf_ntg.codecs.time_bins import TimeBins
from hf_ntg.constants import PRIVACY_UNITS, PRIVATE_COUNTS
from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays, as_arrays, ragged_positions
from hf_ntg.flows.schema import MAX_SEGMENT
from hf_ntg.models.baselines.baseline import Baseline
from hf_ntg.models.baselines.budget_shares import budget_shares
from hf_ntg.privacy.budget import GAUSSIAN_ACCOUNTANT, Budget, default_delta, gaussian_noise
from hf_ntg.privacy.noise import SecretNoise
from hf_ntg.privacy.public_words import PUBLIC_PORTS, PUBLIC_PROTOCOLS, public_time_knots
from hf_ntg.privacy.units import UnitFlows, noised_histogram

__all__ = ["SYMBOLS", "PrivateNGram", "fault_of"]

TIME_BINS = 32
MOST_FREQUENT = 48  # lengths of a class and position that keep a state of their own
SYMBOLS = 2 * (MAX_SEGMENT + 1)
# Ranges of lengths, two an octave: 0, 1, 2, 3, 4, 6, 8, 11, …
EDGES = np.unique(np.rint(2 ** (np.arange(0, 21) / 2)).astype(np.int64))
RANGES = len(EDGES) + 1
STATES = 1 + 2 * RANGES + MOST_FREQUENT  # the end, ranges in both directions, frequent packets
END = 0
HEADERS = (len(PUBLIC_PROTOCOLS) - 1) * (len(PUBLIC_PORTS) + 1)
_WIDTHS = {"times": TIME_BINS, "headers": HEADERS}
_FACTS = ("epsilon", "delta", "units", "noise_multiplier")


class PrivateNGram(Baseline):
    """Draws each packet given the class, the position and the previous packet, from counts with Gaussian noise.

    Counts are taken of: flows of a class; at each position of a class, the ranges of lengths (two an octave) in both
    directions and the end, and the exact packets; pairs of successive states, where a state is the end, a packet that
    the noised counts show to be frequent, or a range for all others; and for each class, bins of times at each
    position, and pairs of protocol and common port. Every count gets noise, and those that noise alone would explain
    are dropped. All else follows from the noised counts, and costs no privacy. A flow is cut to ``max_packets``
    packets, so it changes a table of counts by at most the square root of that number.

    What the result does not depend on any flow for: lengths above 1,460 bytes count as 1,460; ports that are not in a
    fixed list are drawn at random; time bins are fixed. Class names, the columns of the table and the number of flows
    (of captures, where these are the unit) are public.

    Args:
        epsilon: of the guarantee. delta: of the guarantee; None: a tenth of one by the number of units, at most 1e-5.
        unit: what the guarantee is for: one ``flow``, or all flows of one ``capture``.

    Attributes:
        privacy: the guarantee that was given, for cards and records.
    """

    kind = PRIVATE_COUNTS
    block_size = 1 << 16

    def __init__(self, epsilon: float = 8.0, delta: float | None = None, unit: str = "flow") -> None:
        self.epsilon, self.delta, self.unit = epsilon, delta, unit
        self.privacy: dict[str, Any] = {}

    def fit(self, flows: Dataset | FlowArrays, max_packets: int = 10, view: str | None = None) -> Self:
        """Count the labelled ones of `flows` with noise, cut to `max_packets` packets.

        Raises:
            InputError: the budget is no guarantee, or a flow has no label.
        """
        table = as_arrays(flows)
        units = UnitFlows.of(table, self.unit, view or table.view or "all")
        names = class_names(table.label)
        if None in names:
            raise InputError("a flow has no label; fill the column 'label' or remove such flows")
        budget = Budget(self.epsilon, default_delta(units.count) if self.delta is None else self.delta)
        self.labels, self.max_packets, self.view = names, max_packets, units.flows.view or "all"
        arrays = replace(units.flows, cut=None).head(max_packets)
        self._count(replace(units, flows=arrays), class_places(names, arrays.label), budget)
        self.privacy = {
            "epsilon": budget.epsilon,
            "delta": budget.delta,
            "unit": self.unit,
            "units": units.count,
            "noise_multiplier": gaussian_noise(budget),
            "accountant": GAUSSIAN_ACCOUNTANT,
        }
        return self

    def _count(self, units: UnitFlows, classes: np.ndarray, budget: Budget) -> None:
        flows, noise, num_classes = units.flows, SecretNoise(), len(self.labels)
        least = gaussian_noise(budget)
        shares = budget_shares(units.count / num_classes, least)
        if flows.inter_arrival_time is None:  # the shares of columns that the flows lack go to the others
            del shares["times"]
        if flows.protocol is None or flows.destination_port is None:
            del shares["headers"]
        whole = least * math.sqrt(sum(shares.values()))
        scales = {name: whole / math.sqrt(share) for name, share in shares.items()}
        steps = Steps.of(flows, self.max_packets)
        weight = units.weight
        norm = math.sqrt(self.max_packets)  # of the events of a flow, each in a cell of its own

        def count(name: str, cells: np.ndarray, owner: np.ndarray, num_cells: int, norm: float) -> np.ndarray:
            return noised_histogram(cells, units.unit[owner], weight[owner], num_cells, norm, scales[name], noise)

        each = np.arange(len(flows))
        found = count("classes", classes, each, num_classes, 1.0)
        found = np.maximum(found, np.finfo(float).tiny)
        self.label_weights = found / found.sum()
        place = classes[steps.owner] * self.max_packets + steps.position
        shape, places = (num_classes, self.max_packets), num_classes * self.max_packets
        width = 1 + 2 * RANGES
        coarse = count("ranges", place * width + steps.range, steps.owner, places * width, norm)
        packets = ~steps.over
        cells = place[packets] * SYMBOLS + steps.symbol[packets]
        fine = count("packets", cells, steps.owner[packets], places * SYMBOLS, norm)
        self._choose_states(
            coarse.reshape(*shape, width),
            fine.reshape(*shape, SYMBOLS),
            scales["ranges"] * norm,
            scales["packets"] * norm,
        )
        state = self._states_of(classes[steps.owner], steps)
        later = np.flatnonzero(steps.position > 0)
        cells = (place[later] * STATES + state[later - 1]) * STATES + state[later]
        pairs = count("pairs", cells, steps.owner[later], places * STATES**2, norm)
        self._join(pairs.reshape(*shape, STATES, STATES), scales["pairs"] * norm)
        self._count_rest(units, classes, count, norm)

    def _choose_states(self, coarse: np.ndarray, fine: np.ndarray, coarse_noise: float, fine_noise: float) -> None:
        """Frequent packets of each class and position, (K, P, F), and the shares of all states, (K, P, S)."""
        if self.view == "payload":  # no packet is empty there
            fine[:, :, :2], coarse[:, :, [1, 1 + RANGES]] = 0.0, 0.0
        bar = fine_noise * math.sqrt(2 * math.log(SYMBOLS))  # the largest of as many draws of noise
        order = np.argsort(-fine, axis=2)[:, :, :MOST_FREQUENT]
        counts = np.take_along_axis(fine, order, axis=2)
        self.frequent = np.where(counts > bar, order, -1)
        counts = np.where(counts > bar, counts, 0.0)
        inside = np.zeros_like(coarse)  # what the frequent packets of a range hold
        ranges = _ranges_of(order)
        for column in range(order.shape[2]):
            cell = np.take_along_axis(inside, ranges[:, :, [column]], axis=2)
            np.put_along_axis(inside, ranges[:, :, [column]], cell + counts[:, :, [column]], axis=2)
        rest = coarse - inside
        rest[rest < 2 * coarse_noise] = 0.0
        self.shares = np.concatenate([rest, counts], axis=2)
        self.shares[:, 0, END] = 0.0  # a flow has a first packet
        empty = self.shares.sum(axis=2) <= 0  # nothing but noise there: flows end, at the start they hold any packet
        self.shares[empty, END] = 1.0
        self.shares[:, 0][empty[:, 0], END] = 0.0
        self.shares[:, 0][empty[:, 0], 1 : 1 + 2 * RANGES] = 1.0

    def _states_of(self, classes: np.ndarray, steps: Steps) -> np.ndarray:
        state = steps.range.copy()
        frequent = self.frequent[classes, steps.position]  # (E, F)
        is_own = (frequent == steps.symbol[:, None]) & ~steps.over[:, None]
        own = is_own.any(axis=1)
        state[own] = 1 + 2 * RANGES + is_own[own].argmax(axis=1)
        return state

    def _join(self, pairs: np.ndarray, noise: float) -> None:
        """Shares of the next state after each state, (K, P, S, S): counts of pairs, filled up by those of the position.

        A pair's count must exceed what noise makes of as many empty cells. What the pairs of a state lack to the
        state's own count is spread as the position's states are.
        """
        kinds = (self.shares > 0).sum(axis=2)  # states that occur
        cells = np.maximum(kinds * np.roll(kinds, 1, axis=1), 2)
        bar = noise * np.sqrt(2 * np.log(cells))[:, :, None, None]
        possible = (np.roll(self.shares, 1, axis=1) > 0)[:, :, :, None] & (self.shares > 0)[:, :, None]
        kept = np.where((pairs > bar) & possible, pairs, 0.0)
        before = np.roll(self.shares, 1, axis=1)  # (K, P, S): count of the state before
        missing = np.maximum(before - kept.sum(axis=3), 1e-3 * before + 1e-9)
        position = self.shares / self.shares.sum(axis=2, keepdims=True)
        whole = kept + missing[:, :, :, None] * position[:, :, None]
        self.following = (whole / whole.sum(axis=3, keepdims=True)).astype(np.float32)
        self.shares = position

    def _count_rest(self, units: UnitFlows, classes: np.ndarray, count: Any, norm: float) -> None:
        flows, num_classes = units.flows, len(self.labels)
        self.times = self.headers = None
        if flows.inter_arrival_time is not None:
            bins = TimeBins(public_time_knots(TIME_BINS))
            later = flows.position > 0
            owner = flows.flow_index[later]
            place = classes[owner] * self.max_packets + flows.position[later]
            cells = place * len(bins) + bins.of(flows.inter_arrival_time[later])
            found = count("times", cells, owner, num_classes * self.max_packets * len(bins), norm)
            self.times = _as_shares(found.reshape(num_classes, self.max_packets, len(bins)))
        if flows.protocol is not None and flows.destination_port is not None:
            known = places_in(np.array(PUBLIC_PROTOCOLS[1:]), flows.protocol).clip(max=len(PUBLIC_PROTOCOLS) - 2)
            ports = places_in(np.array(PUBLIC_PORTS), flows.destination_port)
            width = len(PUBLIC_PORTS) + 1
            cells = classes * HEADERS + known * width + ports
            found = count("headers", cells, np.arange(len(flows)), num_classes * HEADERS, 1.0)
            self.headers = _as_shares(found.reshape(num_classes, -1))

    def _generate(self, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        symbols = np.full((len(classes), self.max_packets), -1, dtype=np.int64)
        state = np.zeros(len(classes), dtype=np.int64)
        alive = np.arange(len(classes))
        for position in range(self.max_packets):
            owner = classes[alive]
            shares = self.shares[owner, 0] if position == 0 else self.following[owner, position, state[alive]]
            drawn = _draw(shares, rng)
            alive, owner, drawn = alive[drawn != END], owner[drawn != END], drawn[drawn != END]
            state[alive] = drawn
            symbols[alive, position] = self._packets(owner, position, drawn, rng)
        held = symbols >= 0
        flat = symbols[held]
        flows = FlowArrays(
            offsets=np.concatenate([[0], np.cumsum(held.sum(axis=1))]),
            payload_length=(flat // 2).astype(np.int32),
            direction=(1 - 2 * (flat % 2)).astype(np.int8),
            label=np.array(self.labels, dtype=object)[classes],
        )
        return self._with_rest(flows, classes, rng)

    def _packets(self, classes: np.ndarray, position: int, states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Packet symbols for states: a frequent packet itself, or one of its range, each length as likely."""
        own = states - 1 - 2 * RANGES
        frequent = self.frequent[classes, position, own.clip(min=0)]
        number = (states - 1) % RANGES
        low = np.concatenate([[0], EDGES])[number].clip(min=1 if self.view == "payload" else 0)
        high = np.concatenate([EDGES, [MAX_SEGMENT + 1]])[number].clip(max=MAX_SEGMENT + 1)
        length = low + (rng.random(len(states)) * np.maximum(high - low, 1)).astype(np.int64)
        return np.where(own >= 0, frequent, 2 * length + (states - 1) // RANGES)

    def _with_rest(self, flows: FlowArrays, classes: np.ndarray, rng: np.random.Generator) -> FlowArrays:
        if self.times is not None:
            bins = TimeBins(public_time_knots(TIME_BINS))
            times = np.zeros(len(flows.payload_length), dtype=np.float32)
            later = np.flatnonzero(flows.position > 0)
            drawn = _draw(self.times[classes[flows.flow_index[later]], flows.position[later]], rng)
            times[later] = bins.draw(drawn, rng.random(len(later)))
            flows = replace(flows, inter_arrival_time=times)
        if self.headers is not None:
            protocol, port = np.divmod(_draw(self.headers[classes], rng), len(PUBLIC_PORTS) + 1)
            listed = np.array([*PUBLIC_PORTS, OTHER])[port]
            flows = replace(
                flows,
                protocol=np.array(PUBLIC_PROTOCOLS[1:])[protocol],
                destination_port=np.where(listed == OTHER, draw_server_ports(rng.random(len(classes))), listed),
                source_port=draw_client_ports(rng.random(len(classes))),
            )
        return flows

    def _tensors(self) -> dict[str, np.ndarray]:
        facts = [self.privacy[name] for name in _FACTS] + [PRIVACY_UNITS.index(self.unit)]
        tables = {"frequent": self.frequent, "shares": self.shares, "following": self.following}
        tables |= {"times": self.times, "headers": self.headers, "privacy": np.array(facts, dtype=np.float64)}
        return {name: table.ravel() for name, table in tables.items() if table is not None}

    def _restore(self, tensors: dict[str, np.ndarray]) -> None:
        shape = (len(self.labels), self.max_packets)
        self.frequent = tensors["frequent"].reshape(*shape, MOST_FREQUENT)
        self.shares = tensors["shares"].reshape(*shape, STATES)
        self.following = tensors["following"].reshape(*shape, STATES, STATES)
        self.times = tensors["times"].reshape(*shape, TIME_BINS) if "times" in tensors else None
        self.headers = tensors["headers"].reshape(len(self.labels), -1) if "headers" in tensors else None
        *facts, unit = tensors["privacy"].tolist()
        self.privacy = dict(zip(_FACTS, facts, strict=True))
        self.unit, self.epsilon, self.delta = PRIVACY_UNITS[int(unit)], self.privacy["epsilon"], self.privacy["delta"]
        self.privacy |= {"unit": self.unit, "units": int(self.privacy["units"]), "accountant": GAUSSIAN_ACCOUNTANT}


@dataclass(frozen=True)
class Steps:
    """The packets of all flows and the end of those that are shorter than the longest possible, E events in all.

    Attributes:
        owner: (E,) flow of each event. position: (E,) its place in the flow. over: (E,) whether it is the end.
        symbol: (E,) packet symbol, lengths cut to `MAX_SEGMENT`; 0 for the end.
        range: (E,) range of its length and direction, from 1; 0 for the end.
    """

    owner: np.ndarray
    position: np.ndarray
    over: np.ndarray
    symbol: np.ndarray
    range: np.ndarray

    @classmethod
    def of(cls, flows: FlowArrays, max_packets: int) -> Steps:
        """The events of `flows`, which have at most `max_packets` packets."""
        ends = flows.num_packets < max_packets
        events = flows.num_packets + ends
        owner, position = np.repeat(np.arange(len(flows)), events), ragged_positions(events)
        over = position == flows.num_packets[owner]
        length = np.minimum(flows.payload_length, MAX_SEGMENT)
        symbol = np.zeros(len(owner), dtype=np.int64)
        symbol[~over] = 2 * length + (flows.direction < 0)
        return cls(owner, position, over, symbol, np.where(over, END, _ranges_of(symbol)))


def fault_of(tensors: dict[str, np.ndarray], num_classes: int, max_packets: int, view: str) -> str | None:
    """What is wrong with saved tensors (sizes, shares, states that stand for no packet); None for those of a fit."""
    places = num_classes * max_packets
    sizes = {"frequent": places * MOST_FREQUENT, "shares": places * STATES, "following": places * STATES**2}
    sizes |= {"times": places * TIME_BINS, "headers": num_classes * HEADERS, "privacy": len(_FACTS) + 1}
    if wrong := [name for name, size in sizes.items() if name in tensors and len(tensors[name]) != size]:
        return f"{wrong[0]} has another size than its classes and packets ask for"
    if tensors["privacy"][-1] not in range(len(PRIVACY_UNITS)):
        return "privacy names no unit"
    packets = tensors["frequent"].reshape(places, MOST_FREQUENT)
    if view == "payload" and np.isin(packets, (0, 1)).any():
        return "empty packets, which the packet view 'payload' has not"
    shares = tensors["shares"].reshape(places, STATES)
    following = tensors["following"].reshape(places, STATES, STATES)
    unknown = np.zeros((places, STATES), dtype=bool)
    unknown[:, STATES - MOST_FREQUENT :] = packets < 0
    if (shares[unknown] > 0).any() or ((following > 0) & unknown[:, None]).any():
        return "packets that do not exist would be drawn"
    rows = [shares, following.reshape(-1, STATES)]
    rows += [tensors[name].reshape(-1, size) for name, size in _WIDTHS.items() if name in tensors]
    if shares[::max_packets, END].any() or any((table.sum(axis=1) < 0.99).any() for table in rows):
        return "shares that do not add up to 1, or flows without a packet"
    return None


def _ranges_of(symbols: np.ndarray) -> np.ndarray:
    """Range of each packet symbol, from 1: first those of upstream packets, then those of downstream ones."""
    return 1 + np.searchsorted(EDGES, symbols // 2, side="right") + RANGES * (symbols % 2)


def _as_shares(counts: np.ndarray) -> np.ndarray:
    """Noised counts (…, M) as shares; where nothing is left, all are equal."""
    positive = np.maximum(counts, 0.0)
    total = positive.sum(axis=-1, keepdims=True)
    return np.where(total > 0, positive / np.where(total > 0, total, 1.0), 1.0 / counts.shape[-1]).astype(np.float32)


def _draw(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,) a column drawn for each row of `shares` (N, M), in proportion to its entries."""
    running = np.cumsum(shares, axis=1, dtype=np.float64)
    target = rng.random(len(shares))[:, None] * running[:, -1:]
    return (running <= target).sum(axis=1).clip(max=shares.shape[1] - 1)
