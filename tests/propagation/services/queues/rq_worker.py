"""RQ's worker, which has a process for each job; each has what is imported here from it."""

from propagation.services.queues.rq_jobs import queue  # sets up first

import grpc  # noqa: F401  # isort: skip
import httpx  # noqa: F401  # isort: skip
import requests  # noqa: F401  # isort: skip
import rq  # isort: skip

rq.Worker([queue], connection=queue.connection).work(logging_level="ERROR")
