"""RQ: two workers, with a process for each job."""

from propagation.services.queues.rq_jobs import queue, relay, relay_again  # sets up first

from rq import Retry  # isort: skip

from propagation.services.queues import consuming, entrance

for _ in range(2):
    consuming.in_process("-m", "propagation.services.queues.rq_worker")
entrance.serve(
    {
        "enqueue": lambda errand: queue.enqueue(relay, errand),
        "retry": lambda errand: queue.enqueue(relay_again, errand, retry=Retry(max=1)),
    }
)
