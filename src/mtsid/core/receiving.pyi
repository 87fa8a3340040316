from types import TracebackType
from typing import Any, NoReturn, SupportsIndex

from typing_extensions import disjoint_base

from mtsid.core.message import Message

@disjoint_base
class BaseReceiving:
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn: ...

class Receiving(BaseReceiving):
    def __enter__(self) -> Message[Any]: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

class AsyncReceiving(BaseReceiving):
    async def __aenter__(self) -> Message[Any]: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
