"""RQ's worker, which has a process for each job; each has the jobs' module from it."""

from propagation.services.queues.rq_jobs import queue  # sets up first

import rq  # isort: skip

rq.Worker([queue], connection=queue.connection).work(logging_level="ERROR")
