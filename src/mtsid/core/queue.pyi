from typing import TypeVar

from typing_extensions import disjoint_base

from mtsid.core.verbs import QueueVerbs

T = TypeVar("T")

class MessageQueue(QueueVerbs[T]): ...
