"""Exchange Server 4.0: the same verbs with its defects, kept on purpose for comparison. Not for use.

`Allocator` and `MessageQueue` do what their namesakes in `mtsid` do, except for the one defect that `defect=` names:
see pool.pxd and queue.pyx, where each is marked.
"""

from mtsid.v40.allocator import Allocator
from mtsid.v40.queue import MessageQueue

__all__ = ["Allocator", "MessageQueue"]
