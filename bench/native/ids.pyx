"""The allocator's native calls, as the work of a native thread: what `pairs` in free_list.h is for a ring."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.allocator cimport Allocator


cdef uint64_t pairs(void* ids, uint64_t count) noexcept nogil:
    cdef uint64_t failures = 0
    cdef uint64_t i
    cdef int64_t id
    for i in range(count):
        id = (<Allocator> ids).acquire_id()
        if id < 0 or (<Allocator> ids).release_id(<uint32_t> id) != 0:
            failures += 1
    return failures


def work() -> int:
    """The address of `pairs`."""
    return <size_t> &pairs


def state(Allocator ids) -> int:
    """The address of the allocator, which must outlive its use."""
    return <size_t> <void*> ids


def run(Allocator ids, uint64_t count) -> int:
    """Do it here, for who counts instructions; returns the failures."""
    cdef uint64_t failures
    with nogil:
        failures = pairs(<void*> ids, count)
    return failures
