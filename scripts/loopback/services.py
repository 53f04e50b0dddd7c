"""Every service by name. A family's module, and the client libraries it imports, is loaded when asked for."""

from __future__ import annotations

from importlib import import_module

from loopback.workload import Service

__all__ = ["NAMES", "find"]

_FAMILIES = {
    "web": ("http", "https", "http2", "http3", "video"),
    "names": ("dns", "dot", "doh"),
    "shells": ("ssh", "sftp"),
    "files": ("ftp", "git", "rsync"),
    "mail": ("smtp", "imap"),
    "stores": ("redis", "memcached"),
    "sql": ("postgresql", "mysql"),
    "directory": ("ldap",),
    "messages": ("mqtt", "websocket", "irc"),
    "voice": ("rtp",),
    "devices": ("ntp", "snmp", "coap"),
}
NAMES = tuple(name for names in _FAMILIES.values() for name in names)


def find(name: str) -> Service:
    """The service called `name`, one of `NAMES`."""
    family = next(family for family, names in _FAMILIES.items() if name in names)
    return import_module(f"loopback.services_{family}").SERVICES[name]
