from typing_extensions import Self, disjoint_base

@disjoint_base
class Waiter:
    @property
    def need(self) -> int: ...
    def __new__(cls, need: int = 1) -> Self: ...

@disjoint_base
class WaitSet: ...
