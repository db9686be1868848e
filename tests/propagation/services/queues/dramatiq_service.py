"""Dramatiq: a worker with threads."""

from propagation.services.queues.dramatiq_actors import broker, pause, relay, relay_again  # sets up first

import dramatiq  # isort: skip

from propagation.services.queues import entrance

dramatiq.Worker(broker, worker_timeout=100, worker_threads=8).start()
entrance.serve(
    {
        "send": relay.send,
        "delay": lambda errand: relay.send_with_options(args=(errand,), delay=10),
        "retry": relay_again.send,
        "pipeline": lambda errand: dramatiq.pipeline(
            [pause.message(), relay.message_with_options(args=(errand,), pipe_ignore=True)]
        ).run(),
    }
)
