"""Sampling of many flows from a causal model, with one model evaluation per distinct prefix instead of per flow.

Flows with the same tokens so far have the same distribution of the next token. The flows therefore form a tree. A node
is a distinct prefix, and the model runs once per node. Each flow of the node draws its own next token by inversion,
with a uniform number that belongs to this flow and this place only. So the flows are independent draws from the model.
The grammar masks forbidden tokens before a draw, so that every sentence is legal.

The tree is walked breadth first while it is narrow, and depth first in chunks when it is wide. This bounds the memory:
the cache rows of a chunk are gathered when its turn comes. Once most flows have a distinct prefix, every flow gets its
own node, and nothing needs to be gathered any more.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.tokenization_flow import EncodedFlows
from hf_ntg.models.decoder import Memory, make_decoder

__all__ = ["nodes_at_once", "sample_sentences"]

MAX_NODES = 512  # nodes evaluated at once by a processor, whose caches hold their activations
GPU_NODES = 16_384  # by a GPU, which needs many to be busy; their keys and values take about 3 GiB
APART = 0.6  # distinct prefixes per flow above which every flow becomes a node of its own
MAX_SCORES = 500_000  # entries of a score matrix, few enough to fit the processor's cache
GPU_SCORES = 64_000_000  # 256 MiB
# A token drawn in float32 is final if a change of the cumulative probabilities by this much would not change it. This
# is 1.5 times the largest measured error (1.7e-6). The other flows are drawn again in float64, where threads, batches
# and devices do not affect the result. So every flow is the one that exact arithmetic draws.
MARGIN = 2.5e-6
SHORT = 64  # tokens; longer sentences are drawn in smaller numbers, which bounds the memory
GROUP = 64  # scores are searched in two levels: among groups of this many, then inside a group


def nodes_at_once(device: torch.device, tokens: int) -> int:
    """How many prefixes of sentences of `tokens` tokens to evaluate at once on `device`: fewer if they are long."""
    most = MAX_NODES if device.type == "cpu" else GPU_NODES
    return max(1, min(most, SHORT * most // tokens))


def sample_sentences(
    model: PreTrainedModel,
    grammar: FlowGrammar,
    labels: np.ndarray,
    uniforms: np.ndarray,
    temperature: float = 1.0,
    max_nodes: int = MAX_NODES,
    times: bool = True,
) -> EncodedFlows:
    """Draw one sentence for each of `labels` from `model`.

    Args:
        model: a causal model of the grammar's sentences. labels: (N,) places in ``grammar.labels``.
        uniforms: (N, ``grammar.max_tokens``) numbers in [0, 1); a flow's row decides its tokens.
        temperature: divides the scores. max_nodes: prefixes evaluated at once; bounds memory.
        times: draw times, where the grammar has them; else every time is the bin of zero.

    Returns:
        The N sentences, in the order of `labels`.
    """
    walk = _Walk(model, grammar, uniforms, temperature, max_nodes, times)
    with torch.inference_mode():
        walk.run(torch.from_numpy(labels).to(model.device))
    drawn, lengths = walk.tokens.cpu().numpy(), walk.lengths.cpu().numpy()
    doubtful = np.flatnonzero(walk.doubtful.cpu().numpy())
    if len(doubtful):
        exact = _Walk(deepcopy(model).double(), grammar, uniforms[doubtful], temperature, max_nodes, times)
        with torch.inference_mode():
            exact.run(torch.from_numpy(labels[doubtful]).to(model.device))
        drawn[doubtful], lengths[doubtful] = exact.tokens.cpu().numpy(), exact.lengths.cpu().numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedFlows(drawn[np.arange(drawn.shape[1]) < lengths[:, None]], offsets)


@dataclass
class _Nodes:
    """Distinct prefixes of one length, and the flows that share them.

    Attributes:
        place: index of the next token in the sentence. packets: packets of the prefixes. timed: the packets are
            complete and times follow.
        token: (n,) last token of each prefix. memory: cache of the tokens before it. rows: (n,) row of each prefix in
            the cache; None if the rows are in order and belong to these nodes only.
        flow: (m,) flows, sorted by node. node: (m,) index of each flow's node, ascending.
    """

    place: int
    packets: int
    timed: bool
    token: Tensor
    memory: Memory
    rows: Tensor | None
    flow: Tensor
    node: Tensor

    def select(self, first: int, last: int) -> _Nodes:
        """Nodes `first` to `last` (exclusive) with their flows."""
        start, stop = torch.searchsorted(self.node, torch.tensor([first, last], device=self.node.device)).tolist()
        every = torch.arange(len(self.token), device=self.token.device) if self.rows is None else self.rows
        flow, node = self.flow[start:stop], self.node[start:stop] - first
        return replace(self, token=self.token[first:last], rows=every[first:last], flow=flow, node=node)

    def own_memory(self) -> Memory:
        """A cache whose rows belong to these nodes only, in order."""
        return self.memory if self.rows is None else self.memory.select(self.rows)


class _Walk:
    """One walk over the tree; leaves the sentences in `tokens` (N, longest) and their `lengths` (N,)."""

    def __init__(
        self,
        model: PreTrainedModel,
        grammar: FlowGrammar,
        uniforms: np.ndarray,
        temperature: float,
        max_nodes: int,
        times: bool,
    ) -> None:
        self.grammar, self.max_nodes, self.times = grammar, max_nodes, times
        self.decoder = make_decoder(model)
        self.head = model.get_output_embeddings().weight / temperature  # (V, W)
        self.heads: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self.uniforms = torch.from_numpy(1.0 - uniforms).to(model.device)  # in (0, 1]: never before the first token
        self.tokens = torch.zeros(uniforms.shape, dtype=torch.int32, device=model.device)
        self.lengths = torch.zeros(len(uniforms), dtype=torch.int64, device=model.device)
        self.doubtful = torch.zeros(len(uniforms), dtype=torch.bool, device=model.device)
        self.margin = MARGIN / min(temperature, 1.0)
        self.max_scores = MAX_SCORES if model.device.type == "cpu" else GPU_SCORES

    def run(self, labels: Tensor) -> None:
        """Draw all sentences, starting with their `labels` (N,)."""
        first = self.grammar.blocks["label"].start + labels
        self.tokens[:, 0] = first.int()
        flow = torch.argsort(first, stable=True)
        token, node = torch.unique_consecutive(first[flow], return_inverse=True)
        stack = [_Nodes(1, 0, False, token, self.decoder.empty(len(token)), None, flow, node)]
        while stack:
            nodes = stack.pop()
            if len(nodes.token) > self.max_nodes:
                starts = range(0, len(nodes.token), self.max_nodes)
                stack += [nodes.select(i, min(i + self.max_nodes, len(nodes.token))) for i in starts]
            else:
                stack += self._step(nodes)

    def _step(self, nodes: _Nodes) -> list[_Nodes]:
        """Draw the next token of every flow of `nodes`; returns the nodes that follow."""
        grammar = self.grammar
        allowed = self._allowed(nodes)
        if allowed == slice(grammar.eos, grammar.eos + 1):
            self._finish(nodes.flow, nodes.place)
            return []
        nodes = replace(nodes, memory=nodes.own_memory(), rows=None)
        token = self._draw(nodes, allowed)
        self.tokens[nodes.flow, nodes.place] = token.int()
        if nodes.place < grammar.prefix_length or nodes.timed:
            return [self._children(nodes, token, None)]
        ended = token == grammar.end_of_packets
        if not ended.any():
            return [self._children(nodes, token, None, packets=nodes.packets + 1)]
        left = []
        if not ended.all():
            left.append(self._children(nodes, token, ~ended, packets=nodes.packets + 1))
        if grammar.has_times and self.times:
            left.append(self._children(nodes, token, ended, timed=True))
        elif grammar.has_times:
            last = nodes.place + nodes.packets
            self.tokens[nodes.flow[ended], nodes.place + 1 : last] = grammar.blocks["time"].start
            self._finish(nodes.flow[ended], last)
        else:
            self._finish(nodes.flow[ended], nodes.place)
        return left

    def _allowed(self, nodes: _Nodes) -> slice:
        grammar = self.grammar
        if nodes.place < grammar.prefix_length:
            return grammar.known_protocols if nodes.place == 1 else grammar.blocks["port"]
        if not nodes.timed:
            return grammar.allowed_packets(nodes.packets)
        if nodes.place == grammar.prefix_length + 2 * nodes.packets:
            return grammar.blocks["eos"]
        return grammar.blocks["time"]

    def _finish(self, flow: Tensor, place: int) -> None:
        self.tokens[flow, place] = self.grammar.eos
        self.lengths[flow] = place + 1

    def _draw(self, nodes: _Nodes, allowed: slice) -> Tensor:
        """The next token of each flow of `nodes`, by inversion of its node's distribution over `allowed`: (m,)."""
        single = allowed.stop - allowed.start == 1
        if single and allowed.start == self.grammar.end_of_packets and not self.times:
            return torch.full_like(nodes.flow, allowed.start)  # nothing follows that needs the model's state
        hidden = self.decoder.step(nodes.token, nodes.memory)  # (n, W)
        if single:
            return torch.full_like(nodes.flow, allowed.start)
        uniforms = self.uniforms[nodes.flow, nodes.place]
        head, bias = self._head_of(allowed)
        token, rows = torch.empty_like(nodes.flow), max(1, self.max_scores // len(head))
        for first in range(0, len(hidden), rows):
            span = torch.searchsorted(nodes.node, torch.tensor([first, first + rows], device=token.device)).tolist()
            mine = slice(*span)
            scores = F.linear(hidden[first : first + rows], head, bias)  # (r, A)
            token[mine], doubtful = _invert(scores, nodes.node[mine] - first, uniforms[mine], self.margin)
            self.doubtful[nodes.flow[mine][doubtful]] = True
        return allowed.start + token

    def _head_of(self, allowed: slice) -> tuple[Tensor, Tensor]:
        """Rows of the head for the tokens `allowed`, padded to whole groups, and a bias that excludes the padding."""
        key = allowed.start, allowed.stop
        if key not in self.heads:
            width = allowed.stop - allowed.start
            filling = -width % GROUP
            bias = self.head.new_zeros(width + filling)
            bias[width:] = -torch.inf
            self.heads[key] = F.pad(self.head[allowed], (0, 0, 0, filling)), bias
        return self.heads[key]

    def _children(self, nodes: _Nodes, token: Tensor, chosen: Tensor | None, **changes) -> _Nodes:
        """The distinct prefixes of the flows of `nodes` (only those `chosen`) with their new `token` appended."""
        flow, parent = nodes.flow, nodes.node
        if chosen is not None:
            flow, parent, token = flow[chosen], parent[chosen], token[chosen]
        key, node = torch.unique(parent * len(self.head) + token, return_inverse=True)
        if len(key) > APART * len(flow):
            order, node = torch.arange(len(flow), device=flow.device), torch.arange(len(flow), device=flow.device)
            rows = parent
        else:
            order = torch.argsort(node, stable=True)
            rows, token, node = key // len(self.head), key % len(self.head), node[order]
        # Once every flow is a node of its own, rows keep their order and nothing is gathered.
        still = chosen is None and len(rows) == len(nodes.token) and bool((rows[1:] > rows[:-1]).all())
        new = {"token": token, "rows": None if still else rows, "flow": flow[order], "node": node}
        return replace(nodes, place=nodes.place + 1, **new, **changes)


def _invert(scores: Tensor, row: Tensor, uniform: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Draw from the softmax of ``scores[row]`` by inversion: scores (r, A), row and uniform (m,).

    A is a multiple of `GROUP`. `scores` is overwritten. Sums are float64. The two levels avoid a cumulative sum over A.

    Returns:
        The tokens (m,), and which of them (m,) would change if a cumulative probability changed by `margin`.
    """
    groups = scores.shape[1] // GROUP
    weights = scores.sub_(scores.amax(dim=1, keepdim=True)).exp_().unflatten(1, (groups, GROUP))
    mass = weights.sum(dim=2).double()  # (r, groups)
    reached = mass.cumsum(dim=1)
    target = (uniform * reached[row, -1])[:, None]  # (m, 1)
    group = torch.searchsorted(reached[row], target).clamp_(max=groups - 1)
    target -= (reached - mass)[row].gather(1, group)
    inside = weights[row, group[:, 0]].double().cumsum(dim=1)  # (m, GROUP)
    # The two levels may differ in the last bit. A target past the group's end takes the last token with mass.
    target = torch.minimum(target, inside[:, -1:])
    place = torch.searchsorted(inside, target).clamp_(max=GROUP - 1)  # (m, 1)
    above = inside.gather(1, place)
    below = torch.where(place > 0, inside.gather(1, (place - 1).clamp_(min=0)), 0.0)
    room = torch.minimum(target - below, above - target)[:, 0]
    return group[:, 0] * GROUP + place[:, 0], room < margin * reached[row, -1]
