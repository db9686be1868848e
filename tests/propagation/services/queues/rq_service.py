"""RQ: two workers, with a process for each job."""

from propagation.services.queues.rq_jobs import queue, relay, relay_again, relay_behind, succeed  # sets up first

from rq import Callback, Retry  # isort: skip

from propagation.services.queues import consuming, entrance

_META = {"own": 1}

for _ in range(2):
    consuming.in_process("-m", "propagation.services.queues.rq_worker")
entrance.serve(
    {
        "enqueue": lambda errand: queue.enqueue(relay, errand),
        "retry": lambda errand: queue.enqueue(relay_again, errand, retry=Retry(max=1)),
        "the same headers": lambda errand: queue.enqueue(relay, errand, meta=_META),
        "callback": lambda errand: queue.enqueue(succeed, errand, on_success=Callback(relay_behind)),
    }
)
