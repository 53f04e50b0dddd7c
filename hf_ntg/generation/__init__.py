"""Generation: FlowGenerator, the samplers it uses, random streams, and generation by several processes."""

from hf_ntg.generation.generator import FlowGenerator

__all__ = ["FlowGenerator"]
