"""Leases: which uses of ids began before the last reset. Native code only.

    leases    63                    17   16          15        0
              +-----------------------+-----------+-------------+
              |  resets that began    | resetting | being taken |
              +-----------------------+-----------+-------------+

A lease notes how many resets had begun when it got its id. If another has begun since, the id is not its own any more,
and may be somebody else's. So much is plain for a reset that begins and ends while nobody takes; for the rest:

Invariants
1.  A lease gets its id between `lease_begin` and `lease_took`, and a reset waits until nobody is in between. So each
    lease is of before a reset or of after it, and a reset frees every id of a lease of before.
2.  A reset counts itself before it frees anything. A release for a lease reads the leaf, then the count (E1), then
    exchanges the leaf: if no reset had begun, none has freed that use; if one begins now and frees it, the leaf's
    version changes, and the exchange fails. So it never frees another's use on the strength of an old lease.
3.  A reset keeps takers off from its first leaf to its last, so no lease is taken where it has been, to be stale and
    never freed.

Progress: to take for a lease waits while a reset is under way, and a reset while others take, an instant each. Only a
thread that is attached to Python is in between, without a Python call, so with the GIL neither ever finds the other, and
no fork finds either half done.

It must not know: Python, waiting.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mtsid.core.atomic cimport add_seq_cst, cas_seq_cst, load_acquire, thread_yield
from mtsid.core.bitmap cimport EPOCH, NOT_LIVE, RESETTING, Bitmap, release_bits


cdef inline bint lease_begin(Bitmap* self, uint64_t* epoch) noexcept nogil:
    """Before an id is taken for a lease. False: a reset is under way, try again."""
    cdef uint64_t before = add_seq_cst(&self.leases, 1)
    if before & RESETTING:
        add_seq_cst(&self.leases, <uint64_t> -1)
        return False
    epoch[0] = before >> EPOCH
    return True


cdef inline void lease_took(Bitmap* self) noexcept nogil:
    """The id is taken, or there was none."""
    add_seq_cst(&self.leases, <uint64_t> -1)


cdef inline int64_t lease_release(Bitmap* self, uint64_t offset, uint64_t epoch) noexcept nogil:
    """As `bitmap_release`, or STALE: a reset has begun since, and nothing was released."""
    cdef int64_t left = release_bits(self, offset >> 5, <uint32_t> 1 << (offset & 31), False, epoch)
    return left if left <= 0 else NOT_LIVE


cdef inline bint lease_is_stale(Bitmap* self, uint64_t epoch) noexcept nogil:
    return load_acquire(&self.leases) >> EPOCH != epoch  # E1


cdef inline void reset_begin(Bitmap* self) noexcept nogil:
    """Wait for another reset and for those who take, and keep them off."""
    cdef uint64_t now = load_acquire(&self.leases)
    while now & RESETTING or cas_seq_cst(&self.leases, now, now + (<uint64_t> 1 << EPOCH) + RESETTING) != now:  # E0
        thread_yield()
        now = load_acquire(&self.leases)
    while load_acquire(&self.leases) & (RESETTING - 1):
        thread_yield()


cdef inline void reset_end(Bitmap* self) noexcept nogil:
    add_seq_cst(&self.leases, <uint64_t> -RESETTING)
