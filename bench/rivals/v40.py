"""Exchange 4.0's id source and queue as `mtsid.v40` has them, with their default defects, which cost nothing here."""

from __future__ import annotations

from bench.rivals.sp2 import Variant
from mtsid import v40

V40 = Variant("4.0", v40.Allocator, v40.MessageQueue)
