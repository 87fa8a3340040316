from typing_extensions import Self, disjoint_base

@disjoint_base
class Waiter:
    def __new__(cls, need: int = 1) -> Self: ...

@disjoint_base
class WaitSet: ...

def _waiters() -> int: ...
