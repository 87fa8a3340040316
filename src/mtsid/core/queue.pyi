from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import SupportsIndex, TypeVar

from typing_extensions import disjoint_base

from mtsid.core.message import Message
from mtsid.core.stats import QueueStats
from mtsid.core.verbs import QueueVerbs, _Priority

_T = TypeVar("_T")

@disjoint_base
class MessageQueue(QueueVerbs[_T]):
    def __init__(
        self,
        maxsize: SupportsIndex = 65535,
        *,
        first: SupportsIndex = 1,
        max_deliveries: SupportsIndex | None = None,
        on_dead: Callable[[Message[_T]], object] | None = None,
    ) -> None: ...
    async def put_async(self, item: _T, timeout: float | None = None, *, priority: _Priority = "normal") -> int: ...
    async def get_async(self, timeout: float | None = None) -> Message[_T]: ...
    def receive(
        self, block: object = True, timeout: float | None = None
    ) -> AbstractContextManager[Message[_T], None]: ...
    def receive_async(self, timeout: float | None = None) -> AbstractAsyncContextManager[Message[_T], None]: ...
    def stats(self) -> QueueStats: ...
