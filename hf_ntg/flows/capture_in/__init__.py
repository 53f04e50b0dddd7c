"""Converts captures to biflows: reads pcap and pcapng, decodes headers block by block, and assembles flows."""
