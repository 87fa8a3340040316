# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
"""Native threads on the bitmap and the allocator, and plain memory that only the owner of an id may touch.

The memory is the trick. `desk[offset]` is an ordinary variable: whoever has taken an id signs its place without any
atomic operation, and checks and wipes it before the id goes back. If two threads ever had one id, or if a release did
not come before the next acquire in the memory model's sense, the two would touch that variable unordered: a wrong
signature shows in any build, and ThreadSanitizer reports the race even where the values happen to be right.

It works on two layers. `Allocator`'s native calls, in the package's own compiled module; and the functions of
bitmap.pxd and bitmap_bulk.pxd, which are inline and so compiled into this module, bulk claims among them. Compiled a
second time with its memory orders taken away (weakened.h), the same program must be reported.
"""

from cpython.object cimport PyTypeObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport abort, calloc, free

from mtsid.core.allocator cimport Allocator
from mtsid.core.bitmap cimport (
    BUSY,
    EXHAUSTED,
    LIVE,
    NOT_LIVE,
    Bitmap,
    Seen,
    bitmap_acquire,
    bitmap_close,
    bitmap_exclude,
    bitmap_holds,
    bitmap_live,
    bitmap_open,
    bitmap_release,
    bitmap_reserve,
    count_bits,
)
from mtsid.core.atomic cimport load_relaxed, thread_yield
from mtsid.core.bitmap_bulk cimport (
    Releasing,
    bitmap_acquire_many,
    bitmap_release_many,
    bitmap_reserve_many,
)
from mtsid.core.quarantine cimport bitmap_reset

import mtsid
from mtsid import v40
from mtsid.core.lease import Lease
from mtsid.core.table_contents import Rows
from mtsid.core.waiting import Knock, LoopWaiter, Waiter, WaitSet

cdef extern from "objects.h":
    int tell_of "stress_tell_of"(PyTypeObject* type) except -1

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_barrier_t:
        pass
    int pthread_create(pthread_t*, void*, void* (*)(void*) noexcept nogil, void*)
    int pthread_join(pthread_t, void**)
    int pthread_barrier_init(pthread_barrier_t*, void*, unsigned)
    int pthread_barrier_wait(pthread_barrier_t*)
    int pthread_barrier_destroy(pthread_barrier_t*)

cdef enum:
    THREADS = 16
    HELD = 24           # ids that a thread has at once, at most
    BATCH = 12          # of those taken in one bulk call, at most

cdef class Desk:
    """Such memory, a place an id. For Python threads too: no method synchronises anything."""

    cdef long* places
    cdef readonly long size

    def __cinit__(self, long size):
        self.places = <long*> calloc(size, sizeof(long))
        if self.places == NULL:
            raise MemoryError
        self.size = size

    def __dealloc__(self):
        free(self.places)

    def took(self, long me, uint32_t[::1] ids):
        """Sign for each; how many places were not empty."""
        cdef Py_ssize_t i
        cdef long bad = 0
        for i in range(ids.shape[0]):
            bad += self.places[ids[i]] != 0
            self.places[ids[i]] = me
        return bad

    def gives(self, long me, uint32_t[::1] ids):
        """Wipe for each; how many places were not one's own."""
        cdef Py_ssize_t i
        cdef long bad = 0
        for i in range(ids.shape[0]):
            bad += self.places[ids[i]] != me
            self.places[ids[i]] = 0
        return bad

    def signed(self):
        """How many places are signed; with no thread at work."""
        cdef long i
        cdef long count = 0
        for i in range(self.size):
            count += self.places[i] != 0
        return count


cdef struct Job:
    pthread_barrier_t* start
    Bitmap* bits
    void* ids           # an Allocator, or NULL: then the bitmap is used
    int64_t first       # of the allocator
    long* desk          # [size]: 0, or the signature of the owner
    long rounds
    long me             # the signature, from 1
    uint64_t chance     # the state of the random numbers
    bint roomy          # there are more ids than all threads may hold: "exhausted" is a fault
    uint32_t held[HELD]
    int count           # how many of `held` there are
    long taken
    long given
    long exhausted
    long refused
    long faults


cdef inline uint32_t draw(Job* job, uint32_t below) noexcept nogil:
    """A random number (xorshift*)."""
    job.chance ^= job.chance >> 12
    job.chance ^= job.chance << 25
    job.chance ^= job.chance >> 27
    return <uint32_t> (((job.chance * <uint64_t> 0x2545F4914F6CDD1D) >> 33) % below)


cdef inline void took(Job* job, uint32_t offset) noexcept nogil:
    """Sign the place of an id that is ours now."""
    if job.desk[offset] != 0:
        job.faults += 1
    job.desk[offset] = job.me
    job.held[job.count] = offset
    job.count += 1
    job.taken += 1


cdef inline uint32_t gives(Job* job, int at) noexcept nogil:
    """Wipe the place of an id that is about to go back."""
    cdef uint32_t offset = job.held[at]
    if job.desk[offset] != job.me:
        job.faults += 1
    job.desk[offset] = 0
    job.count -= 1
    job.held[at] = job.held[job.count]
    job.given += 1
    return offset


# One operation on either layer, tried until no bulk claim is in the way ------------------------------------------

cdef inline int64_t acquire(Job* job) noexcept nogil:
    cdef int64_t offset
    cdef Seen seen
    if job.ids != NULL:
        offset = (<Allocator> job.ids).acquire_id()
        return offset - job.first if offset >= 0 else offset
    offset = bitmap_acquire(job.bits, &seen)
    while offset == BUSY:
        thread_yield()
        offset = bitmap_acquire(job.bits, &seen)
    return offset


cdef inline int64_t release(Job* job, uint32_t offset) noexcept nogil:
    cdef int64_t code
    if job.ids != NULL:
        return (<Allocator> job.ids).release_id(<uint32_t> (offset + job.first))
    code = bitmap_release(job.bits, offset)
    while code == BUSY:
        thread_yield()
        code = bitmap_release(job.bits, offset)
    return code


cdef inline int64_t reserve(Job* job, uint32_t offset) noexcept nogil:
    cdef int64_t code
    if job.ids != NULL:
        return (<Allocator> job.ids).reserve_id(<uint32_t> (offset + job.first))
    code = bitmap_reserve(job.bits, offset)
    while code == BUSY:
        thread_yield()
        code = bitmap_reserve(job.bits, offset)
    return code


# What a thread does ----------------------------------------------------------------------------------------------

cdef inline void take_one(Job* job) noexcept nogil:
    cdef int64_t offset = acquire(job)
    if offset >= 0:
        took(job, <uint32_t> offset)
    else:
        job.exhausted += 1
        job.faults += offset != EXHAUSTED or job.roomy


cdef inline void take_this(Job* job) noexcept nogil:
    cdef uint32_t offset = draw(job, <uint32_t> job.bits.size)
    cdef int64_t code
    if not bitmap_holds(job.bits, offset):
        return
    code = reserve(job, offset)
    if code == 0:
        took(job, offset)
    else:
        job.refused += 1
        job.faults += code != LIVE and (job.ids == NULL or code != NOT_LIVE)  # an allocator's bound may have moved


cdef inline void give_one(Job* job) noexcept nogil:
    if job.count:
        job.faults += release(job, gives(job, <int> draw(job, job.count))) != 0


cdef inline void take_many(Job* job) noexcept nogil:
    cdef uint32_t[BATCH] offsets
    cdef uint64_t were_free = 0
    cdef Seen seen
    cdef uint64_t want = 1 + draw(job, BATCH)
    cdef uint64_t i
    cdef int64_t code
    if want > job.bits.size:
        want = job.bits.size
    if job.count + <int> want > HELD:
        return
    code = bitmap_acquire_many(job.bits, offsets, want, &were_free, &seen)
    while code == BUSY:
        thread_yield()
        code = bitmap_acquire_many(job.bits, offsets, want, &were_free, &seen)
    if code == 0:
        for i in range(want):
            took(job, offsets[i])
    else:
        job.exhausted += 1
        job.faults += code != EXHAUSTED or job.roomy or were_free >= want


cdef inline void take_these(Job* job) noexcept nogil:
    """Reserve a few neighbours, all or none."""
    cdef uint32_t[BATCH] offsets
    cdef uint32_t in_use = 0
    cdef uint32_t at = draw(job, <uint32_t> job.bits.size)
    cdef uint64_t length = 0
    cdef uint64_t i
    cdef int64_t code
    while length < BATCH // 3 and at < job.bits.size:
        if bitmap_holds(job.bits, at):
            offsets[length] = at
            length += 1
        at += 1
    if length == 0 or job.count + <int> length > HELD:
        return
    code = bitmap_reserve_many(job.bits, offsets, length, &in_use)
    while code == BUSY:
        thread_yield()
        code = bitmap_reserve_many(job.bits, offsets, length, &in_use)
    if code == 0:
        for i in range(length):
            took(job, offsets[i])
    else:
        job.refused += 1
        job.faults += code != LIVE


cdef inline void give_many(Job* job) noexcept nogil:
    cdef uint32_t[HELD] offsets
    cdef Releasing state
    cdef uint64_t length = 0
    while job.count and length < BATCH:
        offsets[length] = gives(job, job.count - 1)
        length += 1
    state.next = state.refused = 0
    while bitmap_release_many(job.bits, offsets, length, &state) == BUSY:
        thread_yield()
    job.faults += state.refused != 0


cdef inline void look(Job* job) noexcept nogil:
    """A view of a leaf shows every id of ours that lies in it."""
    cdef uint32_t live = 0
    cdef uint32_t resting = 0
    cdef uint64_t leaf
    cdef int i
    if not job.count:
        return
    leaf = job.held[0] >> 5
    while bitmap_live(job.bits, leaf, &live, &resting) == BUSY:
        thread_yield()
    for i in range(job.count):
        if job.held[i] >> 5 == leaf and not (live >> (job.held[i] & 31)) & 1:
            job.faults += 1


cdef void* work(void* argument) noexcept nogil:
    cdef Job* job = <Job*> argument
    cdef long n
    cdef uint32_t what
    pthread_barrier_wait(job.start)
    for n in range(job.rounds):
        what = draw(job, 16 if job.ids == NULL else 10)
        if job.count == HELD or what < 4:
            give_one(job)
        elif what < 8:
            take_one(job)
        elif what < 10:
            take_this(job)
        elif what < 12:
            take_many(job)
        elif what == 12:
            take_these(job)
        elif what < 15:
            give_many(job)
        else:
            look(job)
    while job.count:
        give_one(job)
    return NULL


cdef object run(
    Bitmap* bits, void* ids, int64_t first, long* desk, bint roomy, int threads, int me, long rounds, uint64_t seed
):
    """The threads, signing from `me` on, from start to end: (operations, exhausted, refused, faults)."""
    cdef pthread_t[THREADS] handles
    cdef Job* jobs
    cdef pthread_barrier_t start
    cdef int i
    if not 1 <= threads <= THREADS:
        raise ValueError(f"{threads} threads")
    jobs = <Job*> calloc(threads, sizeof(Job))
    if jobs == NULL:
        raise MemoryError
    pthread_barrier_init(&start, NULL, threads)
    for i in range(threads):
        jobs[i].start = &start
        jobs[i].bits = bits
        jobs[i].ids = ids
        jobs[i].first = first
        jobs[i].desk = desk
        jobs[i].rounds = rounds
        jobs[i].me = me + i
        jobs[i].chance = seed * 1000003 + i + 1
        jobs[i].roomy = roomy
    with nogil:
        for i in range(threads):
            if pthread_create(&handles[i], NULL, work, &jobs[i]) != 0:
                abort()  # the others wait for it at the barrier
        for i in range(threads):
            pthread_join(handles[i], NULL)
    pthread_barrier_destroy(&start)
    operations = exhausted = refused = faults = 0
    for i in range(threads):
        operations += jobs[i].taken + jobs[i].given
        exhausted += jobs[i].exhausted
        refused += jobs[i].refused
        faults += jobs[i].faults + (jobs[i].taken != jobs[i].given)
    free(jobs)
    return operations, exhausted, refused, faults


def on_allocator(Allocator ids, Desk desk, bint roomy, int threads, int me, long rounds, uint64_t seed):
    """Native threads on an allocator, which Python threads may use too if they sign at the same desk.

    `roomy`: every thread finds an id at all times, so that not to find one is a fault.
    """
    return run(&ids.bits, <void*> ids, ids.first, desk.places, roomy, threads, me, rounds, seed)


def on_bitmap(uint64_t size, bint lowest, uint64_t occupied, int threads, long rounds, uint64_t seed):
    """The same on a bitmap of its own, with bulk calls; the first `occupied` ids are taken, every 37th is excluded."""
    cdef Bitmap bits
    cdef uint64_t i
    cdef uint64_t leaf = 0
    cdef uint64_t live = 0
    cdef uint64_t before = 0
    cdef uint32_t* left
    cdef int64_t reset
    cdef Desk desk = Desk(size)
    if not bitmap_open(&bits, size, lowest, False):
        raise MemoryError
    bits.excluded = <uint32_t*> calloc(bits.leaf_count, sizeof(uint32_t))
    left = <uint32_t*> calloc(size, sizeof(uint32_t))
    if bits.excluded == NULL or left == NULL:
        raise MemoryError
    for i in range(36, size, 37):
        bitmap_exclude(&bits, i)
    for i in range(occupied):
        before += bitmap_holds(&bits, i) and bitmap_reserve(&bits, i) == 0
    operations, exhausted, refused, faults = run(
        &bits, NULL, 0, desk.places, load_relaxed(&bits.capacity) - before >= threads * HELD, threads, 1, rounds, seed
    )
    # Only those that were taken before are live now, and a reset finds just them.
    reset = bitmap_reset(&bits, &leaf, left, size)
    faults += reset != <int64_t> before or leaf != bits.leaf_count
    for i in range(size):
        live += bitmap_holds(&bits, i) and bitmap_release(&bits, i) != NOT_LIVE
    faults += live + desk.signed()
    free(left)
    bitmap_close(&bits)
    return operations, exhausted, refused, faults


cdef class Parcel:
    """A message's body with such a place in it, which only the one who got the message may touch."""

    cdef long holder
    cdef readonly object what

    def __init__(self, what):
        self.what = what

    def took(self, long me):
        """Sign; was the place empty?"""
        cdef bint good = self.holder == 0
        self.holder = me
        return good

    def gives(self, long me):
        """Wipe; was the place one's own?"""
        cdef bint good = self.holder == me
        self.holder = 0
        return good


for kind in (
    mtsid.Allocator, mtsid.InFlightTable, Rows, mtsid.Message, mtsid.MessageQueue, v40.Allocator, v40.MessageQueue, Waiter,
    LoopWaiter, Knock, WaitSet, Lease, Desk, Parcel
):
    tell_of(<PyTypeObject*> kind)
