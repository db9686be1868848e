"""One container of a pod: pulled, started, probed, restarted, stopped; its state is as a pod's status tells it.

States and reasons as `pkg/kubelet/kuberuntime` has them. Back-offs are short: 1 s doubling to 10 s, where kubelet
takes 10 s to 5 minutes. As there, the first restart is at once.
"""

import asyncio
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from .api import Json
from .containers import Process, StartError, container_id
from .environment import Environment, arguments
from .events import now
from .images import Image, PullError, pull
from .place import Place, common_mounts
from .probes import Handlers, outcomes
from .security import identity
from .sources import ConfigError

_CHECKOUT = Path(__file__).parents[4]
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 10.0


class Container:
    """A container, from its first pull to its last end. `policy` is Always, OnFailure or Never."""

    def __init__(self, spec: Json, policy: str) -> None:
        self.spec = spec
        self.name = str(spec["name"])
        self.ready = False
        self.started = asyncio.Event()
        self.restarts = 0
        self.state: Json = {"waiting": {"reason": "PodInitializing"}}
        self.last: Json = {}
        self._policy = policy
        self._delay = 0.0
        self._process: Process | None = None
        self._stopping = False
        self._task: asyncio.Task[int] | None = None
        self._running_since = 0.0
        self._logs: Path | None = None

    def begin(self, place: Place) -> "asyncio.Task[int]":
        """Run it, as often as its policy says; the task's result is its last status."""
        self._place = place
        self._logs = place.logs / self.name
        self._task = asyncio.create_task(self._run())
        return self._task

    async def stop(self, grace_seconds: float) -> None:
        """End it: preStop, SIGTERM, SIGKILL after the grace; it is not restarted."""
        self._stopping = True
        if self._task is None:
            return
        if self._process is None:
            self._task.cancel()
        elif grace_seconds > 0:
            self._tell("Normal", "Killing", f"Stopping container {self.name}")
            await self._end(grace_seconds)
        else:
            await self._process.kill()
        await asyncio.gather(self._task, return_exceptions=True)

    def log(self, restart: int) -> Path | None:
        """Return the log file of one of its runs, or None where there was no such run."""
        file = None if self._logs is None else self._logs / f"{restart}.log"
        return file if file is not None and file.exists() else None

    def status(self) -> Json:
        """Return its entry in the pod's status (ContainerStatus)."""
        known = next(
            (self.state[kind]["containerID"] for kind in self.state if "containerID" in self.state[kind]), ""
        )
        return {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": f"test/{self.spec['image']}" if known or self.last else "",
            "containerID": known or self.last.get("terminated", {}).get("containerID", ""),
            "ready": self.ready,
            "started": self.started.is_set(),
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }

    async def _run(self) -> int:
        while True:
            image = await self._pulled()
            code = await self._run_once(image)
            if self._stopping or self._policy == "Never" or (self._policy == "OnFailure" and code == 0):
                return code
            await self._back_off()
            self.restarts += 1

    async def _pulled(self) -> Image:
        name = self.spec["image"]
        delay = _FIRST_SECONDS
        while True:
            try:
                secrets = await self._place.sources.pull_secrets(self._place.pod)
                image = pull(self._place.registry, name, secrets)
            except PullError as error:
                self._tell("Normal", "Pulling", f'Pulling image "{name}"')
                await self._pull_failed(name, str(error), delay)
                delay = min(2 * delay, _LONGEST_SECONDS)
            else:
                self._tell("Normal", "Pulled", f'Successfully pulled image "{name}"')
                return image

    async def _pull_failed(self, name: str, reason: str, delay: float) -> None:
        self._tell("Warning", "Failed", f'Failed to pull image "{name}": {reason}')
        self._tell("Warning", "Failed", "Error: ErrImagePull")
        self._waits("ErrImagePull", reason)
        await asyncio.sleep(delay / 2)
        self._tell("Normal", "BackOff", f'Back-off pulling image "{name}"')
        self._tell("Warning", "Failed", "Error: ImagePullBackOff")
        self._waits("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {reason}')
        await asyncio.sleep(delay / 2)

    async def _run_once(self, image: Image) -> int:
        begun, self._running_since = now(), asyncio.get_running_loop().time()
        try:
            process = await self._started_process(image)
        except StartError as error:
            self._tell("Warning", "Failed", f"Error: failed to create containerd task: {error}")
            return self._ended(128, "StartError", begun, str(error))
        self._process = process
        self.state = {"running": {"startedAt": begun}}
        self.state["running"]["containerID"] = container_id(process)
        self._tell("Normal", "Started", f"Started container {self.name}")
        probing = asyncio.create_task(self._probe(process))
        probing.add_done_callback(_complain)
        try:
            code = await process.ended()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            self._process = None
        return self._ended(code, "Completed" if code == 0 else "Error", begun, self._last_message(code))

    async def _started_process(self, image: Image) -> Process:
        while True:
            try:
                order = await self._order(image)
            except ConfigError as error:
                self._tell("Warning", "Failed", f"Error: {error}")
                self._waits("CreateContainerConfigError", str(error))
                await asyncio.sleep(_FIRST_SECONDS)
            else:
                self._tell("Normal", "Created", f"Created container: {self.name}")
                return await self._place.runtime.start("container", **order)

    async def _order(self, image: Image) -> Json:
        place = self._place
        known = await Environment(place.pod, place.address, place.sources).of(self.spec, image, place.services())
        log = place.logs / self.name / f"{self.restarts}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        message = place.folder / "messages" / self.name
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_bytes(b"")
        message.chmod(0o666)
        mounts = [*place.volumes.mounts(self.spec), *common_mounts(place.folder, message, self.spec)]
        return {
            "sandbox": place.sandbox.pid,
            "root": str(place.folder / "containers" / f"{self.name}-{self.restarts}"),
            "log": str(log),
            "mounts": mounts,
            "reachable": [os.path.realpath(sys.executable), sys.prefix, str(_CHECKOUT)],
            "argv": arguments(self.spec, image, known),
            "environment": known,
            "directory": self.spec.get("workingDir") or image.directory,
            **identity(place.pod, self.spec, image),
        }

    def _ended(self, code: int, reason: str, begun: str, message: str) -> int:
        ended = {"exitCode": code, "reason": reason, "startedAt": begun, "finishedAt": now()}
        for kind in self.state:
            if "containerID" in self.state[kind]:
                ended["containerID"] = self.state[kind]["containerID"]
        if message:
            ended["message"] = message
        self.state = {"terminated": ended}
        self.ready = False
        self.started.clear()
        self._place.changed()
        return code

    def _last_message(self, code: int) -> str:
        written = (self._place.folder / "messages" / self.name).read_text(errors="replace")
        if not written and code != 0 and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            log = self.log(self.restarts)
            lines = log.read_text(errors="replace").splitlines(keepends=True) if log else []
            return "".join(lines[-80:])[-2048:]
        return written[:4096]

    async def _back_off(self) -> None:
        self.last = self.state
        ran = asyncio.get_running_loop().time() - self._running_since
        delay = 0.0 if ran > 2 * _LONGEST_SECONDS else self._delay
        self._delay = min(2 * delay, _LONGEST_SECONDS) or _FIRST_SECONDS
        if delay:
            pod = self._place.pod["metadata"]
            words = f"container={self.name} pod={pod['name']}_{pod['namespace']}({pod['uid']})"
            self._tell(
                "Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {words[10:]}"
            )
            self._waits("CrashLoopBackOff", f"back-off {delay:g}s restarting failed {words}")
            await asyncio.sleep(delay)

    def _waits(self, reason: str, message: str) -> None:
        self.state = {"waiting": {"reason": reason, "message": message}}
        self._place.changed()

    def _tell(self, kind: str, reason: str, message: str) -> None:
        self._place.events.tell(self._place.pod, kind, reason, message, part=f"spec.containers{{{self.name}}}")
        self._place.changed()

    async def _probe(self, process: Process) -> None:
        handlers = Handlers(self._place.http, self._place.address, self.spec, self._command)
        if hook := self.spec.get("lifecycle", {}).get("postStart"):
            await handlers.attempt(hook, 3600)
        if probe := self.spec.get("startupProbe"):
            await self._until_started(handlers, probe, process)
        self.started.set()
        self.ready = "readinessProbe" not in self.spec
        self._place.changed()
        await asyncio.gather(self._follow_readiness(handlers), self._follow_life(handlers, process))

    async def _until_started(self, handlers: Handlers, probe: Json, process: Process) -> None:
        async for outcome in outcomes(handlers, probe, eager=True):
            if outcome.success and outcome.reached:
                return
            await self._judge("startup", outcome.message, outcome.reached, process)

    async def _follow_readiness(self, handlers: Handlers) -> None:
        if probe := self.spec.get("readinessProbe"):
            async for outcome in outcomes(handlers, probe, eager=True):
                if not outcome.success:
                    self._tell("Warning", "Unhealthy", f"Readiness probe failed: {outcome.message}")
                if outcome.reached and self.ready != outcome.success:
                    self.ready = outcome.success
                    self._place.changed()

    async def _follow_life(self, handlers: Handlers, process: Process) -> None:
        if probe := self.spec.get("livenessProbe"):
            async for outcome in outcomes(handlers, probe, eager=False):
                if not outcome.success:
                    await self._judge("liveness", outcome.message, outcome.reached, process)

    async def _judge(self, kind: str, message: str, reached: bool, process: Process) -> None:
        if message:
            self._tell("Warning", "Unhealthy", f"{kind.capitalize()} probe failed: {message}")
        if message and reached:
            self._tell("Normal", "Killing", f"Container {self.name} failed {kind} probe, will be restarted")
            await process.stop(self._place.pod["spec"].get("terminationGracePeriodSeconds", 30))

    async def _end(self, grace_seconds: float) -> None:
        process = self._process
        assert process is not None
        deadline = asyncio.get_running_loop().time() + grace_seconds
        if hook := self.spec.get("lifecycle", {}).get("preStop"):
            handlers = Handlers(self._place.http, self._place.address, self.spec, self._command)
            try:
                async with asyncio.timeout(grace_seconds):
                    await handlers.attempt(hook, grace_seconds)
            except TimeoutError:
                self._tell("Warning", "FailedPreStopHook", "PreStopHook failed")
        await process.stop(max(0.1, deadline - asyncio.get_running_loop().time()))

    async def _command(self, argv: list[str], timeout_seconds: float) -> tuple[int, str]:
        output = self._place.folder / "commands" / f"{self.name}.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(b"")
        if self._process is None:
            return 126, "the container is not running"
        order = {"container": self._process.pid, "argv": argv, "log": str(output), "directory": "/"}
        known: dict[str, Any] = {"environment": {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}}
        try:
            process = await self._place.runtime.start(
                "command", **order, **known, **identity(self._place.pod, self.spec, None)
            )
        except StartError as error:
            return 126, str(error)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await process.ended(), output.read_text(errors="replace")
        except TimeoutError:
            await process.kill()
            return 124, f"command timed out after {timeout_seconds:g} s"


def _complain(task: "asyncio.Task[None]") -> None:
    """Let a fault of the kubelet's own be seen in its log."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        traceback.print_exception(fault)
