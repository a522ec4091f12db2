"""Which of this machine's interfaces listen for an address, by real sockets."""

import errno
import socket

import pytest

from clim_mm.distributed import listen
from clim_mm.distributed.listen import listen_at

ALL = ('0.0.0.0', '::')


@pytest.fixture
def listening(capfd):
    """The hosts that listen for an address, all at one port, and what was said."""
    servers = []

    def hosts_of(address, one_machine=False):
        servers.extend(found := listen_at(address, one_machine))
        assert len({server.getsockname()[1] for server in found}) == 1
        return [server.getsockname()[0] for server in found], capfd.readouterr().err

    yield hosts_of
    for server in servers:
        server.close()


@pytest.fixture
def named(monkeypatch):
    """Give a name addresses, as /etc/hosts does: ``named('host0', '127.0.1.1')``."""
    real = socket.getaddrinfo

    def give(name, *hosts):
        def found(host, *args, **kwargs):
            return [place for known in (hosts if host == name else [host]) for place in real(known, *args, **kwargs)]

        monkeypatch.setattr(socket, 'getaddrinfo', found)

    return give


@pytest.mark.parametrize('address', ['127.0.0.1', '127.0.0.2'])
def test_a_number_is_the_only_interface(listening, address):
    assert listening(address) == ([address], '')


def test_localhost_is_no_other_interface(listening):
    hosts, said = listening('localhost')
    assert set(hosts) <= {'127.0.0.1', '::1'} and hosts and said == ''


def test_what_does_not_listen_cannot_be_reached(listening):
    hosts, _ = listening('127.0.0.1')
    server = listen_at('127.0.0.1', True)[0]
    with server, socket.socket() as other:
        assert hosts and other.connect_ex(('127.0.0.2', server.getsockname()[1])) == errno.ECONNREFUSED


def test_a_name_is_all_of_its_interfaces_that_are_here(listening, named):
    named('host0', '127.0.0.3', '192.0.2.1', '127.0.0.4', '127.0.0.3')
    assert listening('host0', one_machine=True) == (['127.0.0.3', '127.0.0.4'], '')


def test_a_name_that_means_another_interface_elsewhere_is_all_of_them(listening, named):
    named('host0', '127.0.1.1')  # as Debian's installer writes it
    hosts, said = listening('host0')
    assert hosts[0] in ALL
    assert said == ('\nMASTER_ADDR=host0 names no interface of this machine that others can reach: '
                    'rank 0 listens on all.\n')
    assert listening('host0', one_machine=True) == (['127.0.1.1'], '')


@pytest.mark.parametrize('address', ['192.0.2.1', '2001:db8::1', 'no.such.host.invalid', ''])
def test_an_address_that_is_not_here_is_all_of_them(listening, address):
    hosts, said = listening(address)
    assert hosts[0] in ALL and f'MASTER_ADDR={address} names no' in said


def test_a_port_that_is_taken_on_one_interface_is_not_chosen(listening, named, monkeypatch):
    named('host0', '127.0.0.3', '127.0.0.4')
    taken, real = [], socket.create_server

    def create(place, **options):
        if place[0] == '127.0.0.4' and len(taken) < 2:
            taken.append(real(place, **options))
        return real(place, **options)

    monkeypatch.setattr(listen.socket, 'create_server', create)
    assert listening('host0', one_machine=True) == (['127.0.0.3', '127.0.0.4'], '')
    for server in taken:
        server.close()
