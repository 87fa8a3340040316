# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False, cdivision=True
"""Faults on purpose, one for each thing that a sanitizer is there to see. A check that does not report them is blind."""

from threading import Barrier, Thread

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc

from mtsid.core.monitor cimport Monitor, monitor_close, monitor_enter, monitor_leave, monitor_open

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    int pthread_create(pthread_t*, void*, void* (*)(void*) noexcept nogil, void*)
    int pthread_join(pthread_t, void**)

cdef volatile long counter
cdef volatile int32_t number


cdef void* count(void* unused) noexcept nogil:
    global counter
    cdef int i
    for i in range(1000):
        counter += 1
    return NULL


def race():
    """A plain counter of two threads."""
    cdef pthread_t[2] threads
    cdef int i
    with nogil:
        for i in range(2):
            pthread_create(&threads[i], NULL, count, NULL)
        for i in range(2):
            pthread_join(threads[i], NULL)


cdef class Guarded:
    """A count that Python threads change inside a monitor, as they do a queue's, or outside it by mistake."""

    cdef Monitor monitor
    cdef volatile long value

    def __cinit__(self):
        monitor_open(&self.monitor)

    def __dealloc__(self):
        monitor_close(&self.monitor)

    def inside(self):
        cdef int i
        for i in range(10_000):
            monitor_enter(&self.monitor)
            self.value += 1
            monitor_leave(&self.monitor)

    def outside(self):
        cdef int i
        for i in range(10_000):
            self.value += 1

    def total(self):
        return self.value


def at_once(*workers):
    """Python threads that start together."""
    start = Barrier(len(workers))

    def run(worker):
        start.wait()
        worker()

    threads = [Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def unguarded():
    """Two Python threads: one takes the monitor, as it should, the other does not."""
    shared = Guarded()
    at_once(shared.inside, shared.outside)


def guarded():
    """Two Python threads that both take it: what must not be reported."""
    shared = Guarded()
    at_once(shared.inside, shared.inside)
    if shared.total() != 20_000:
        raise AssertionError(shared.total())


def overflow():
    """One byte behind a block of the heap."""
    cdef volatile char* block = <volatile char*> malloc(24)
    block[24] = 1
    free(<void*> block)


def use_after_free():
    cdef volatile char* block = <volatile char*> malloc(24)
    free(<void*> block)
    block[0] = 1


def stale_object():
    """An object read after its last reference went: what a queue that counts references wrongly would do."""
    body = bytearray(8)
    cdef PyObject* stale = <PyObject*> body
    body = None
    return (<volatile Py_ssize_t*> stale)[0]


def signed_overflow():
    global number
    number = 0x7FFFFFFF
    number += 1


def shift():
    """By as many bits as there are."""
    global number
    cdef volatile uint32_t one = 1
    number = 32
    return one << number


def misaligned():
    cdef char[16] bytes
    cdef volatile int32_t* odd = <volatile int32_t*> (bytes + 1)
    odd[0] = 1
