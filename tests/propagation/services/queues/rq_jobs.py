"""RQ's jobs; imported by who enqueues them, and by the workers.

`queue` is for workers that have a process for each job; the one that is called by `WITHIN` for those that have not.
"""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402

import rq  # noqa: E402
from redis import Redis  # noqa: E402

from propagation.services.sync_clients import call_on  # noqa: E402

WITHIN = "-within"

_redis = Redis.from_url(os.environ["REDIS_URL"])
queue = rq.Queue(os.environ["QUEUE"], connection=_redis)
queue_within = rq.Queue(os.environ["QUEUE"] + WITHIN, connection=_redis)
_handlers = rq.Queue(os.environ["HANDLERS"] + WITHIN, connection=_redis)


def relay(errand: str) -> None:
    """Call on."""
    call_on(errand)


def relay_again(errand: str) -> None:
    """Call on at the second try."""
    job = rq.get_current_job()
    assert job
    if job.retries_left:
        raise RuntimeError("the first try fails")
    call_on(errand)


def succeed(errand: str) -> str:
    """Do nothing; something comes behind it."""
    return errand


def relay_behind(_job: object, _connection: object, errand: str) -> None:
    """Call on when a job has succeeded."""
    call_on(errand)


def send_on(errand: str) -> None:
    """Enqueue a job for the worker that all services share."""
    _handlers.enqueue(relay, errand)
