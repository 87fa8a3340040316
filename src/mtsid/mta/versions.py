"""The two versions, and what 4.0's queue may do wrong."""

from __future__ import annotations

from typing import Literal

__all__ = ["DEFECTS", "VERSIONS", "Version"]

Version = Literal["SP2", "4.0"]
VERSIONS: tuple[Version, ...] = ("4.0", "SP2")
DEFECTS = ("premature-strip", "double-release", "unchecked-wrap", "racy-claim")  # 4.0's; the first is the default
