"""Celery: a worker with processes, and beat."""

from propagation.services.queues.celery_app import pause, relay, relay_again  # sets up first

from celery import chain, chord, group  # isort: skip

import os

from propagation.services.queues import consuming, entrance

_APP = ("-m", "celery", "-A", "propagation.services.queues.celery_app")
_QUEUE = os.environ["QUEUE"]

consuming.in_process(
    *_APP, "worker", "-P", "prefork", "-c", "4", "-l", "ERROR", "--without-mingle", "--without-gossip", "-n", _QUEUE
)
if not consuming.IS_SHARED:
    consuming.in_process(*_APP, "beat", "-l", "ERROR", "-s", f"{_QUEUE}-schedule")
entrance.serve(
    {
        "delay": relay.delay,
        "countdown": lambda errand: relay.apply_async((errand,), countdown=0.05),
        "retry": relay_again.delay,
        "chain": lambda errand: chain(pause.si(), relay.si(errand)).delay(),
        "group": lambda errand: group(relay.si(errand)).delay(),
        "chord": lambda errand: chord([pause.si(), pause.si()], relay.si(errand)).delay(),
    }
)
