from typing import Final, SupportsIndex, TypeVar

from typing_extensions import disjoint_base

from mtsid.core.verbs import QueueVerbs

_T = TypeVar("_T")

DEFECTS: Final[tuple[str, ...]]

@disjoint_base
class MessageQueue(QueueVerbs[_T]):
    def __init__(
        self,
        maxsize: SupportsIndex = 65535,
        *,
        first: SupportsIndex = 1,
        defect: str = "premature-strip",
    ) -> None: ...
    @property
    def defect(self) -> str: ...
