from typing import final

from typing_extensions import disjoint_base

@disjoint_base
class Waiter:
    @property
    def need(self) -> int: ...
    def __init__(self, need: int = 1) -> None: ...

@disjoint_base
class WaitSet: ...
