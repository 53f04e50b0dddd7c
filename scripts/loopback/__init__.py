"""Real servers and real clients on wires of our own: what `capture_loopback.py` is made of.

`network` lays namespaces and wires, `relay` is the wire's delay, `workload` draws everything random, `driver` plays
client sessions, `certificates` makes TLS chains and `site` a web site, `programs` and `programs_web` are the servers
written here, and each `services_*` module describes a family of services.
"""
