"""RQ: two workers with a process for each job, and one without."""

from propagation.services.queues.rq_jobs import (  # sets up first
    queue,
    queue_within,
    relay,
    relay_again,
    relay_behind,
    succeed,
)

from rq import Callback, Retry  # isort: skip

from propagation.services.queues import consuming, entrance

_WORKER = ("-m", "propagation.services.queues.rq_worker")
_META = {"own": 1}

consuming.in_process(*_WORKER, "within")
if not consuming.IS_SHARED:
    consuming.in_process(*_WORKER)
    consuming.in_process(*_WORKER)
entrance.serve(
    {
        "enqueue": lambda errand: queue.enqueue(relay, errand),
        "retry": lambda errand: queue.enqueue(relay_again, errand, retry=Retry(max=1)),
        "within": lambda errand: queue_within.enqueue(relay, errand),
        "the same headers": lambda errand: queue.enqueue(relay, errand, meta=_META),
        "callback": lambda errand: queue.enqueue(succeed, errand, on_success=Callback(relay_behind)),
    }
)
