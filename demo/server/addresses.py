"""Who asks: the address that a limit counts.

`X-Forwarded-For` is a list to which every proxy adds, at the end, the address it was asked from.
What stands before is whatever the client wrote. So only the entries of proxies that are known to be
there are believed:

- On a Space the platform's proxies stand in front, of a number that is not documented; all but the
  visitor's own address are private. The last public address is the visitor's.
- Elsewhere the owner says how many there are (`QUARTET_PROXIES`). By default there is none, and the
  connection's own address counts; a proxy on the same machine is believed by uvicorn.
"""

import functools
import ipaddress
from collections.abc import Iterable
from typing import Any

Headers = Iterable[tuple[bytes, bytes]]


def find_address(headers: Headers, peer: str, proxies: int | None) -> str:
    """The address a request comes from.

    Args:
        headers: of the request, names in lower case.
        peer: the address of the connection.
        proxies: how many stand in front; None for a Space.
    """
    if proxies == 0:
        return peer
    told = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    listed = [entry.strip() for entry in told.decode("latin-1").split(",")]
    entries = [entry for entry in map(_clean, listed) if entry]
    if not entries:
        return peer
    if proxies is not None:
        return entries[-proxies] if len(entries) >= proxies else peer
    public = [entry for entry in entries if ipaddress.ip_address(entry).is_global]
    return public[-1] if public else entries[-1]


@functools.lru_cache(maxsize=4096)
def name_sender(address: str) -> str:
    """What the limits count for an address: itself, or for IPv6 the network of 64 bits that every
    customer has to choose addresses from."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def name_sender_of(request: Any) -> str:
    """The sender of a request of starlette's or Gradio's, "" where there is none. The gate has seen
    to it that the request's address is the visitor's."""
    host = getattr(getattr(request, "client", None), "host", None)
    return name_sender(host) if host else ""


def _clean(entry: str) -> str:
    """The address of an entry, which may bring a port along; nothing where it is none."""
    for candidate in (entry, entry.partition("]")[0].lstrip("["), entry.rpartition(":")[0]):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""
