"""From a fitted model to flows: FlowGenerator, the samplers that it holds, streams, several processes."""

from hf_ntg.generation.generator import FlowGenerator

__all__ = ["FlowGenerator"]
