"""The container runtime: makes sandboxes, containers and commands for the test kubelet, and says when they end.

A process of its own with nothing but the standard library, so that a fork of it is quick and safe. Orders come as
lines of JSON on the socket at descriptor 0: `do` (sandbox, container, command, signal) and `id`. For each one that
makes a process come two answers: `{id, pid}` or `{id, failed}`, and when it has ended `{id, exit}`. When the socket
closes or the parent ends, everything ends.
"""

import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import linux
import processes

_ORDERS = {"sandbox": processes.sandbox, "container": processes.container, "command": processes.command}


class Runtime:
    """The loop over the socket, children that end, and those that are being started."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(0))
        self._left = b""
        self._children: dict[int, str] = {}
        self._inside: dict[int, int] = {}  # containers, and the sandbox of each
        self._ended: dict[str, int] = {}
        self._starting: set[str] = set()
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        woken.setblocking(False)
        self._wake.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        self._woken = woken
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve until the socket closes."""
        self._selector.register(self._socket, selectors.EVENT_READ, self._read)
        self._selector.register(self._wake, selectors.EVENT_READ, self._reap)
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _read(self) -> None:
        received = self._socket.recv(1 << 20)
        if not received:
            sys.exit()
        *lines, self._left = (self._left + received).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order["do"] == "signal":
                self._signal(order)
            else:
                self._start(order)

    def _signal(self, order: "dict[str, Any]") -> None:
        pid = next((pid for pid, name in self._children.items() if name == order["id"]), None)
        if pid is not None:
            os.kill(pid, order["signal"])

    def _start(self, order: "dict[str, Any]") -> None:
        status, order["status"] = os.pipe()
        order["runtime"] = os.getpid()
        if order["do"] == "container":
            linux.unshare(linux.CLONE_NEWPID)  # for children; they alone move
        pid = os.fork()
        if pid == 0:
            self._become(order)
        if order["do"] == "container":
            linux.join("/proc/self/ns/pid", linux.CLONE_NEWPID)
        os.close(order["status"])
        self._children[pid] = order["id"]
        if order["do"] == "container":
            self._inside[pid] = order["sandbox"]
        self._starting.add(order["id"])
        self._selector.register(status, selectors.EVENT_READ, lambda: self._started(order["id"], pid, status))

    def _become(self, order: "dict[str, Any]") -> None:
        try:
            linux.end_with_parent()
            if not Path(f"/proc/{order['runtime']}").exists():
                os._exit(1)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            self._socket.close()
            _ORDERS[order["do"]](order)
        except BaseException as error:  # noqa: BLE001
            os.write(order["status"], f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(128)

    def _started(self, name: str, pid: int, status: int) -> None:
        trouble = os.read(status, 4096)
        self._selector.unregister(status)
        os.close(status)
        self._starting.discard(name)
        self._say({"id": name, "failed": trouble.decode()} if trouble else {"id": name, "pid": pid})
        if name in self._ended:
            self._say({"id": name, "exit": self._ended.pop(name)})

    def _reap(self) -> None:
        self._wake.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._inside.pop(pid, None)
            for inside, sandbox in self._inside.items():
                if sandbox == pid:
                    os.kill(inside, signal.SIGKILL)
            self._gone(self._children.pop(pid), os.waitstatus_to_exitcode(status))

    def _gone(self, name: str, code: int) -> None:
        code = code if code >= 0 else 128 - code
        if name in self._starting:
            self._ended[name] = code
        else:
            self._say({"id": name, "exit": code})

    def _say(self, answer: "dict[str, Any]") -> None:
        self._socket.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    linux.end_with_parent()
    Runtime().run()
