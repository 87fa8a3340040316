"""Native threads on one allocator, without the GIL; compiled by soak.py when it runs, against the installed package.

Each thread holds a few ids and swaps its number into the owner word of each id that it gets, and out again before it
releases it. Whoever finds another's number there has proven a duplicate. The swaps are relaxed: an order between two
holders of an id is the allocator's to give.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.allocator cimport EXHAUSTED, Allocator

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint32_t owner_swap(uint32_t *word, uint32_t value)
    {
        return __atomic_exchange_n(word, value, __ATOMIC_RELAXED);
    }
    """
    uint32_t owner_swap(uint32_t* word, uint32_t value) noexcept nogil

cdef enum:
    MOST = 64               # ids that a thread may hold


def churn(Allocator ids, uint32_t[::1] owner, uint32_t me, uint64_t rounds, uint64_t at_once, bint reserving):
    """Acquire, and release what was held longest, `rounds` times each; then release the rest.

    Returns how many operations were done and three counts of what must not be: duplicates, refused releases, and
    `EXHAUSTED` though the threads hold fewer ids than there are. With `reserving` each seventh id is taken by its
    number, if that is free.
    """
    cdef uint32_t[MOST] held
    cdef uint64_t round, slot, operations = 0, duplicates = 0, refused = 0, exhausted = 0
    cdef int64_t id
    cdef uint32_t candidate = me
    cdef uint32_t size = <uint32_t> owner.shape[0]
    if not 0 < at_once <= MOST:
        raise ValueError(f"a thread may hold 1 to {MOST} ids")
    with nogil:
        for round in range(rounds + at_once):
            slot = round % at_once
            if round >= at_once:
                if owner_swap(&owner[held[slot]], 0) != me:
                    duplicates += 1
                if ids.release_id(held[slot]) != 0:
                    refused += 1
                operations += 1
            if round < rounds:
                id = EXHAUSTED
                if reserving and round % 7 == 0:
                    candidate = candidate * 1664525 + 1013904223
                    if ids.reserve_id(candidate % size) == 0:
                        id = candidate % size
                    operations += 1
                if id == EXHAUSTED:
                    id = ids.acquire_id()
                    operations += 1
                    while id == EXHAUSTED and exhausted < 1000:
                        exhausted += 1
                        id = ids.acquire_id()
                    if id == EXHAUSTED:
                        break  # ids are lost: what is left to say will be said by the totals
                held[slot] = <uint32_t> id
                if owner_swap(&owner[id], me) != 0:
                    duplicates += 1
    return operations, duplicates, refused, exhausted
