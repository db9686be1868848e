import socket

from detour.demo.ports import Ports, is_free


def test_a_port_with_a_listener_is_not_given_out():
    """A preferred port is taken if it is free, and another one if something listens there."""
    with Ports() as ports:
        port = ports.take()
        with socket.create_server(("127.0.0.1", port)), Ports() as others:
            assert not is_free(port)
            assert others.take(port) != port
        assert is_free(port)


def test_a_port_is_given_out_once_while_it_is_claimed():
    """Two supplies that are open at a time never give out the same port; when one is closed, its ports are free."""
    with Ports() as others:
        with Ports() as ports:
            port = ports.take()
            assert others.take(port) != port
        assert others.take(port) == port
