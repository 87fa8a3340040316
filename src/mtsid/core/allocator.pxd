"""For `cimport`: an allocator whose native calls need no GIL. They stand in id_verbs.pxd, each with what it answers.

    from mtsid.core.allocator cimport Allocator, EXHAUSTED

    cdef void work(Allocator ids) noexcept nogil:
        cdef int64_t id = ids.acquire_id()
        if id != EXHAUSTED:
            ids.release_id(<uint32_t> id)

Compile with `include_dirs=[mtsid.get_include()]`.
"""

from mtsid.core.bitmap cimport EXHAUSTED, LIVE, NOT_LIVE
from mtsid.core.id_verbs cimport IdVerbs


cdef class Allocator(IdVerbs):
    cdef bytes offsets_of(self, object ids)
