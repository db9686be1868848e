"""RQ: two workers, with a process for each job."""

from propagation.services.queues.rq_jobs import queue, relay, relay_again  # sets up first

from rq import Retry  # isort: skip

from propagation.services.queues import consuming, entrance

for _ in range(2):
    consuming.in_process("-m", "propagation.services.queues.rq_worker")
entrance.serve(
    {
        "enqueue": lambda number: queue.enqueue(relay, number),
        "retry": lambda number: queue.enqueue(relay_again, number, retry=Retry(max=1)),
    }
)
