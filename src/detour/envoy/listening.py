"""Closes listeners without losing a connection (Linux).

The kernel completes connections before a program accepts them. Completed connections that wait to be accepted are
reset when the program closes its listening socket. So the kernel must first stop completing new ones: a filter on
the socket drops their first packet (SO_ATTACH_FILTER, socket(7)). Once no connection waits, the listener can be
closed. A client whose packet was dropped sends it again after a second, and reaches the next program that listens.

Invariant: where the kernel does not permit this, nothing happens: containers often block pidfd_getfd(2), and some
kernels permit filters to root only.
"""

import asyncio
import ctypes
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

_PIDFD_GETFD: Final = 438
"""The system call's number: the same on all architectures since Linux 5.6."""

_SO_ATTACH_FILTER: Final = 26
_LISTEN: Final = "0A"
"""The state of a listening socket in /proc/PID/net/tcp. The columns of its local address and inode follow:"""
_STATE, _INODE = 3, 9

_WAITING_AT: Final = 24
"""Offset in TCP_INFO of a listening socket's number of waiting connections (tcpi_unacked, 4 bytes)."""

_NO_SYN: Final = (
    # Load the flags byte, mask SYN and ACK. Drop packets with SYN only, pass all others (RFC 9293, 3.1).
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFF_FFFF),
)
"""Classic BPF instructions: code, jump if true, jump if false, operand."""

_POLL_SECONDS: Final = 0.01
_CALM_SECONDS: Final = 0.05
"""How long the queue must have been empty: handshakes in progress need a moment to complete."""


async def take_no_more(pid: int, seconds: float) -> None:
    """Make the kernel refuse new connections to a process's listeners, and wait until no connection waits.

    Args:
        pid: The process: this one, or a child of it with the same user.
        seconds: Maximum wait.
    """
    with listening(pid) as sockets, suppress(TimeoutError):
        closing = [one for one in sockets if drop_beginnings(one)]
        async with asyncio.timeout(seconds):
            await _until_none_waits(closing)


async def _until_none_waits(sockets: Sequence[socket.socket]) -> None:
    calm = 0.0
    while sockets and calm < _CALM_SECONDS:
        await asyncio.sleep(_POLL_SECONDS)
        calm = 0 if any(map(waiting, sockets)) else calm + _POLL_SECONDS


@contextmanager
def listening(pid: int) -> Iterator[Sequence[socket.socket]]:
    """Return duplicates of the TCP sockets that a process listens on; none if that is not permitted."""
    with ExitStack() as opened:
        try:
            pidfd = os.pidfd_open(pid)
            opened.callback(os.close, pidfd)
            copies = [opened.enter_context(_duplicate(pidfd, number)) for number in _listening_files(pid)]
        except (OSError, AttributeError):  # Python has pidfd_open on Linux only
            copies = []
        yield copies


def waiting(listener: socket.socket) -> int:
    """Return the number of connections that wait to be accepted."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING_AT + 4)
    return int(struct.unpack_from("=I", info, _WAITING_AT)[0])


def _listening_files(pid: int) -> Iterator[int]:
    """Yield the file descriptors of a process's listening TCP sockets."""
    tables = (Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    rows = (line.split() for table in tables for line in table)
    inodes = {f"socket:[{row[_INODE]}]" for row in rows if row[_STATE] == _LISTEN}
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if str(file.readlink()) in inodes:
                yield int(file.name)


def _duplicate(pidfd: int, number: int) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)
    copy = int(libc.syscall(_PIDFD_GETFD, pidfd, number, 0))
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=copy)


def drop_beginnings(listener: socket.socket) -> bool:
    """Make the kernel drop the first packet of each new connection; return whether it permits that."""
    code = b"".join(struct.pack("=HBBI", *one) for one in _NO_SYN)
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(held))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except PermissionError:
        # Some kernels permit filters to root only, and the filter of a socket can be locked.
        return False
    return True
