from typing import TypeVar

from mtsid.core.verbs import QueueVerbs

_T = TypeVar("_T")

class MessageQueue(QueueVerbs[_T]): ...
