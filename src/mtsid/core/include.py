"""Where a C compiler finds the headers that the `.pxd` files name."""

import os

__all__ = ["get_include"]


def get_include() -> str:
    """The directory for `include_dirs` of an extension that does `from mtsid.core.allocator cimport ...`."""
    return os.path.dirname(os.path.abspath(__file__))
