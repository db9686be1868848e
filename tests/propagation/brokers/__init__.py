"""Real brokers, each on loopback ports of its own with all data in a given folder.

Invariant: when a broker's context is left, every process that it started has ended; they end with the tests, too,
however those end.
"""

from propagation.brokers.broker import Broker, BrokerError
from propagation.brokers.jvm import ELASTICMQ, KAFKA
from propagation.brokers.packaged import RABBITMQ, REDIS

BROKERS = {one.name: one for one in (REDIS, RABBITMQ, KAFKA, ELASTICMQ)}

__all__ = ["BROKERS", "Broker", "BrokerError"]
