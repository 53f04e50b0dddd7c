"""What a flow is: schema, validation, splits, readers, writers and the bundled data set. No torch."""

from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.capture_in.pcap import read_pcap
from hf_ntg.flows.capture_out.write_pcap import write_pcap
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.load import load_flows
from hf_ntg.flows.reading_options import ReadingOptions
from hf_ntg.flows.save import save_flows
from hf_ntg.flows.schema import FLOW_FEATURES, conform_flows
from hf_ntg.flows.split import split_flows
from hf_ntg.flows.table_in.cesnet import from_datazoo

__all__ = [
    "FLOW_FEATURES",
    "FlowArrays",
    "LabelRules",
    "ReadingOptions",
    "conform_flows",
    "from_datazoo",
    "import_flows",
    "load_flows",
    "read_pcap",
    "save_flows",
    "split_flows",
    "write_pcap",
]
