"""Celery's tasks, on Redis; imported by who sends them, by the worker and by beat."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402
from typing import Any  # noqa: E402

from celery import Celery  # noqa: E402

from propagation.services.queues.consuming import TICK  # noqa: E402
from propagation.services.sync_clients import call_on  # noqa: E402

app = Celery("relay", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    task_default_queue=os.environ["QUEUE"],
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    result_chord_join_timeout=30,
    beat_schedule={"tick": {"task": "tick", "schedule": 0.5}},
)


@app.task(name="relay")
def relay(errand: str) -> None:
    """Call on."""
    call_on(errand)


@app.task(name="relay_again", bind=True, max_retries=2)
def relay_again(self: Any, errand: str) -> None:
    """Call on at the second try."""
    if not self.request.retries:
        raise self.retry(countdown=0)
    call_on(errand)


@app.task(name="pause")
def pause() -> None:
    """Do nothing; something comes behind it."""


@app.task(name="tick")
def tick() -> None:
    """Call on for nobody: what beat sends belongs to no request."""
    call_on(f"requests/{TICK}")


def send_on(errand: str) -> None:
    """Send a task to the worker that all services share."""
    relay.apply_async((errand,), queue=os.environ["HANDLERS"])
