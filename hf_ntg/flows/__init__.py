"""What a flow is: schema, validation, splits, readers, writers and the bundled data set. No torch."""

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.load import load_flows
from hf_ntg.flows.save import save_flows
from hf_ntg.flows.schema import FLOW_FEATURES, conform_flows
from hf_ntg.flows.split import split_flows
from hf_ntg.flows.write_pcap import write_pcap

__all__ = ["FLOW_FEATURES", "FlowArrays", "conform_flows", "load_flows", "save_flows", "split_flows", "write_pcap"]
