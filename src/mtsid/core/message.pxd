"""See message.pyx and message.h."""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "Python.h":
    PyTypeObject* Py_TYPE(object) noexcept
    bint is_collected "PyType_IS_GC"(PyTypeObject*) noexcept
    void track "PyObject_GC_Track"(Message) noexcept


cdef class Message:
    cdef readonly object body
    cdef uint64_t serial        # of the queue
    cdef uint64_t receipt       # of this delivery; never used again in that queue
    cdef uint32_t slot          # where the queue keeps it
    cdef uint32_t number        # its MTSID
    cdef uint32_t times         # deliveries, this one included
    cdef uint8_t rank           # 0 urgent, 1 normal, 2 non-urgent
    cdef uint8_t tracked        # the collector looks at it


cdef Message fresh_message()    # blank: filled, then given its body by `hold`


cdef inline void hold(Message message, PyObject* body) noexcept:
    """Give a fresh message its body, with the reference that the caller has. Outside any monitor."""
    message.body = <object> body
    Py_DECREF(<object> body)
    if not message.tracked and is_collected(Py_TYPE(message.body)):
        message.tracked = True
        track(message)
