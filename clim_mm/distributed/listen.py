"""Sockets that listen where this machine is reached by the other processes, and nowhere else."""

import errno
import ipaddress
import socket
from typing import Any

from .end_process import say

_BACKLOG = 1024
_ATTEMPTS = 20


def listen_at(address: str, one_machine: bool) -> list[socket.socket]:
    """Sockets that listen at one free port of every interface that ``address`` names.

    They listen on all interfaces, with a word about it, where the others may come by one that is not named: the address
    is translated on its way, or a name means this machine alone, as Debian's own name of itself does (127.0.1.1).

    Args:
        address: Of this machine, as all processes have it: a number or a name.
        one_machine: Whether all processes are on this machine.
    """
    places = _places(address)
    hosts = [host for _, (host, *_) in places]
    if one_machine or address in ('localhost', *hosts) or not all(map(_is_loopback, hosts)):
        for _ in range(_ATTEMPTS):
            try:
                if servers := _bound(places):
                    return servers
                break
            except OSError:  # a port that is free on one of the interfaces, and not on another
                continue
    say(f'MASTER_ADDR={address} names no interface of this machine that others can reach: rank 0 listens on all.')
    dual = socket.has_dualstack_ipv6()
    return [socket.create_server(('', 0), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual,
                                 backlog=_BACKLOG)]


def _places(address: str) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition('%')[0]).is_loopback


def _bound(places: list[tuple[socket.AddressFamily, Any]]) -> list[socket.socket]:
    servers: list[socket.socket] = []
    for family, (host, port, *scope) in places:
        if servers:
            port = servers[0].getsockname()[1]
        try:
            servers.append(socket.create_server((host, port, *scope), family=family, backlog=_BACKLOG))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                for server in servers:
                    server.close()
                raise
            # no interface of this machine, or a kind of address that it does not have
    return servers
