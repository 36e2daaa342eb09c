"""The message broker: what hands runs to workers on other machines.

What belongs here: how it is reached, its queues and priorities (`app.py`), and what its workers and queues say of
themselves (`looking.py`).
Kept elsewhere: its address (`settings/workers.py`), the launcher that puts runs into it
(`orchestration/dagster_patches/queue/`), the worker (`orchestration/workers/`).

Where no broker is set nothing here is called, and Celery is not imported.
"""

from boursomatic_assets.broker.app import EVERY_QUEUE as EVERY_QUEUE
from boursomatic_assets.broker.app import OTHER as OTHER
from boursomatic_assets.broker.app import BrokerError as BrokerError
from boursomatic_assets.broker.app import errors_in_words as errors_in_words
from boursomatic_assets.broker.app import open_app as open_app
from boursomatic_assets.broker.app import priority_of as priority_of
