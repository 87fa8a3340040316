"""See message.pyx and message.h."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    /* One of those types whose objects hold no others, whatever they are. (That a type is not the collector's would not do:
     * numpy's arrays are not, nor is many a type of an extension, and they may hold messages.) */
    static inline int mtsid_holds_nothing(PyObject *body)
    {
        PyTypeObject *type = Py_TYPE(body);
        return type == &PyBytes_Type || type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type
            || type == &PyBool_Type || body == Py_None || type == &PyBaseObject_Type;
    }
    """
    bint holds_nothing "mtsid_holds_nothing"(object) noexcept

cdef extern from "Python.h":
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
    if not message.tracked and not holds_nothing(message.body):
        message.tracked = True
        track(message)
