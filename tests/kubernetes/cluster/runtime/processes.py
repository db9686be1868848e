"""The processes of a pod: its sandbox, which holds the namespaces, its containers, and commands inside a container.

Each function runs in a fork of the runtime and never returns. A container's first process is a small init that
passes signals on and ends with the container's status (128 + signal where that ended it), and all of the container
with it.
"""

import os
import signal
import sys
from typing import Any, NoReturn

import linux
import root

_EVERY = signal.valid_signals()


def sandbox(order: "dict[str, Any]") -> NoReturn:
    """Hold a network, host-name and IPC namespace until killed."""
    linux.unshare(linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | (0 if order["host_network"] else linux.CLONE_NEWNET))
    os.setsid()
    import socket

    socket.sethostname(order["hostname"])
    _told(order)
    while True:
        signal.pause()


def container(order: "dict[str, Any]") -> NoReturn:
    """Run a container in its sandbox's namespaces, with a root and PIDs of its own."""
    os.setsid()
    _redirect(order["log"])
    own = f"/proc/{order['sandbox']}/ns"
    linux.join(f"{own}/net", linux.CLONE_NEWNET)
    linux.join(f"{own}/uts", linux.CLONE_NEWUTS)
    linux.join(f"{own}/ipc", linux.CLONE_NEWIPC)
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    root.build(order)
    signal.pthread_sigmask(signal.SIG_BLOCK, _EVERY)
    child = os.fork()
    if child == 0:
        _run(order)
    _told(order)
    _keep(child)


def command(order: "dict[str, Any]") -> NoReturn:
    """Run a command inside a running container."""
    os.setsid()
    _redirect(order["log"])
    inside = f"/proc/{order['container']}"
    place = os.open(f"{inside}/root", os.O_RDONLY | os.O_DIRECTORY)
    for name, kind in (("pid", linux.CLONE_NEWPID), ("net", linux.CLONE_NEWNET), ("uts", linux.CLONE_NEWUTS)):
        linux.join(f"{inside}/ns/{name}", kind)
    linux.join(f"{inside}/ns/mnt", linux.CLONE_NEWNS)
    os.fchdir(place)
    os.chroot(".")
    signal.pthread_sigmask(signal.SIG_BLOCK, _EVERY)
    child = os.fork()
    if child == 0:
        _run(order)
    _told(order)
    _keep(child)


def _run(order: "dict[str, Any]") -> NoReturn:
    try:
        linux.end_with_parent()
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores these, and what is ignored stays so
        _become(order)
        os.chdir(order["directory"])
        os.execvpe(order["argv"][0], order["argv"], order["environment"])
    except OSError as error:
        os.write(order["status"], f"{order['argv'][0]}: {error.strerror or error}".encode())
        os._exit(128)


def _become(order: "dict[str, Any]") -> None:
    if not order["privileged"]:
        linux.keep_capabilities(order["capabilities"])
    if order["no_new_privileges"]:
        linux.forbid_new_privileges()
    os.setgroups(order["groups"])
    os.setresgid(order["gid"], order["gid"], order["gid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])


def _keep(child: int) -> NoReturn:
    while True:
        number = signal.sigwait(_EVERY)
        if number != signal.SIGCHLD:
            os.kill(child, number)
            continue
        status = _reaped(child)
        if status is not None:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _reaped(child: int) -> "int | None":
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == child:
            return status
        if pid == 0:
            return None


def _redirect(log: str) -> None:
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _told(order: "dict[str, Any]") -> None:
    """Close this process's end of the pipe for what went wrong: when all ends are closed, nothing did."""
    sys.stdout.flush()
    os.close(order["status"])
