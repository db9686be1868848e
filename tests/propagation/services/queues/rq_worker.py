"""RQ's worker: with a process for each job, which has what is imported here; told `within`, with none."""

from propagation.services.queues.rq_jobs import queue, queue_within  # sets up first

import grpc  # noqa: F401  # isort: skip
import httpx  # noqa: F401  # isort: skip
import requests  # noqa: F401  # isort: skip
import rq  # isort: skip

import sys

if sys.argv[1:] == ["within"]:
    rq.SimpleWorker([queue_within], connection=queue.connection).work(logging_level="ERROR")
else:
    rq.Worker([queue], connection=queue.connection).work(logging_level="ERROR")
