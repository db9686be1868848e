"""RQ: two workers, with a process for each job."""

from propagation.services.queues.rq_jobs import queue, relay, relay_again  # sets up first

from rq import Retry  # isort: skip

from propagation.services.queues import consuming, entrance

for _ in range(2):
    consuming.in_process("-m", "propagation.services.queues.rq_jobs")
# By name: this process is the entrance, and its module of jobs is called otherwise in the worker.
_JOBS = "propagation.services.queues.rq_jobs"
assert relay.__module__ == relay_again.__module__ == _JOBS
entrance.serve(
    {
        "enqueue": lambda number: queue.enqueue(f"{_JOBS}.relay", number),
        "retry": lambda number: queue.enqueue(f"{_JOBS}.relay_again", number, retry=Retry(max=1)),
    }
)
