"""What ids stand for: a payload and a generation each, in chunks that come and go with their uses. Native code only.

Only where ids are in use is there memory, 2 KB for 128 neighbours, beside a pointer for each 128 ids of the range. As a
cyclic order passes on through the range, its memory goes with it: an empty chunk is kept for the next place that wants
one, a second empty one is given back.

Every function here runs inside the monitor unless it says otherwise; none calls Python, allocates, frees or drops a
reference. What memory is wanted comes in through a list of chunks, what is left over goes out through one.

Invariants
1.  `chunks[n]` is NULL, or a chunk with that number; the chunks that are not NULL are in the list from `first` on.
2.  A chunk's `count` is that of its uses with a generation. At most one has none, `empty` (until `settled`).

It must not know: which ids are free, who asks for a use.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from mtsid.core.monitor cimport Monitor, monitor_close, monitor_open


cdef extern from "uses.h":
    enum:
        USES_A_CHUNK "MTSID_USES_A_CHUNK"

    ctypedef struct Use "mtsid_use":
        PyObject* payload
        uint64_t generation

    ctypedef struct Chunk "mtsid_uses_chunk":
        Chunk* next
        Chunk* previous
        uint64_t number
        uint64_t count
        Use* uses

    ctypedef struct Uses "mtsid_uses":
        Monitor monitor
        Chunk** chunks
        Chunk* first
        Chunk* empty
        bint settled

    void show_payloads "mtsid_show_payloads"(PyTypeObject* type, Py_ssize_t offset) noexcept


# Life, and memory: outside the monitor ------------------------------------------------------------------------------

cdef inline bint uses_open(Uses* self, uint64_t size) noexcept:
    """Room for so many ids, though no memory for a use yet. False: no memory. `self` is zeroed."""
    self.chunks = <Chunk**> calloc((size + USES_A_CHUNK - 1) // USES_A_CHUNK, sizeof(Chunk*))
    return self.chunks != NULL


cdef inline bint chunks_more(Chunk** chunks) noexcept:
    """One more chunk into a list of them. False: no memory."""
    cdef Chunk* chunk = <Chunk*> calloc(1, sizeof(Chunk))
    if chunk == NULL:
        return False
    chunk.next = chunks[0]
    chunks[0] = chunk
    return True


cdef inline void chunks_free(Chunk* chunks) noexcept:
    cdef Chunk* next
    while chunks != NULL:
        next = chunks.next
        free(chunks)
        chunks = next


cdef inline void uses_close(Uses* self) noexcept:
    """Free the memory; the payloads are gone by then."""
    chunks_free(self.first)
    free(self.chunks)


# Chunks -------------------------------------------------------------------------------------------------------------

cdef inline void link(Uses* self, Chunk* chunk, uint64_t number) noexcept nogil:
    chunk.number = number
    chunk.previous = NULL
    chunk.next = self.first
    if self.first != NULL:
        self.first.previous = chunk
    self.first = chunk
    self.chunks[number] = chunk


cdef inline void unlink(Uses* self, Chunk* chunk) noexcept nogil:
    self.chunks[chunk.number] = NULL
    if chunk.previous == NULL:
        self.first = chunk.next
    else:
        chunk.previous.next = chunk.next
    if chunk.next != NULL:
        chunk.next.previous = chunk.previous


# Uses ---------------------------------------------------------------------------------------------------------------

cdef inline Use* uses_find(Uses* self, uint64_t offset) noexcept nogil:
    """The use of an id; NULL if it is free."""
    cdef Chunk* chunk = self.chunks[offset // USES_A_CHUNK]
    cdef Use* use
    if chunk == NULL:
        return NULL
    use = &chunk.uses[offset % USES_A_CHUNK]
    return use if use.generation else NULL


cdef inline Use* uses_begin(Uses* self, uint64_t offset, Chunk** spare) noexcept nogil:
    """A place for the use of a free id, which the caller fills in; NULL: a chunk is wanted, and none to spare."""
    cdef uint64_t number = offset // USES_A_CHUNK
    cdef Chunk* chunk = self.chunks[number]
    if chunk == NULL:
        if self.empty != NULL:
            chunk = self.empty
            unlink(self, chunk)
        elif spare[0] != NULL:
            chunk = spare[0]
            spare[0] = chunk.next
        else:
            return NULL
        link(self, chunk, number)
    if chunk == self.empty:
        self.empty = NULL
    chunk.count += 1
    return &chunk.uses[offset % USES_A_CHUNK]


cdef inline void uses_end(Uses* self, uint64_t offset, Chunk** spare) noexcept nogil:
    """The use of an id is over: its payload is somebody else's already."""
    cdef Chunk* chunk = self.chunks[offset // USES_A_CHUNK]
    cdef Use* use = &chunk.uses[offset % USES_A_CHUNK]
    use.payload = NULL
    use.generation = 0
    chunk.count -= 1
    if chunk.count == 0:
        if self.empty == NULL or self.settled:
            self.empty = chunk
        else:
            unlink(self, chunk)
            chunk.next = spare[0]
            spare[0] = chunk
