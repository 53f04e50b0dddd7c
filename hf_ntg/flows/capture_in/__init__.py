"""Captures to biflows: pcap and pcapng records, headers of whole blocks of packets, and the rules of a flow."""
