"""Where a C compiler finds the headers that the `.pxd` files name."""

from pathlib import Path

__all__ = ["get_include"]


def get_include() -> str:
    """The directory for `include_dirs` of an extension that does `from mtsid.core.allocator cimport ...`."""
    return str(Path(__file__).resolve().parent)
