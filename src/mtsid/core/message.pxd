"""See message.pyx and message.h."""

from cpython.object cimport PyObject, PyTypeObject
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

    /* Into a blank message, which holds None; the reference goes with it. A macro, since Cython lays the class out below. */
    #define mtsid_give_body(message, given) do { \\
        PyObject **place = &((struct __pyx_obj_5mtsid_4core_7message_Message *)(message))->body; \\
        PyObject *none = *place; \\
        *place = (given); \\
        Py_DECREF(none); \\
    } while (0)
    """
    bint holds_nothing "mtsid_holds_nothing"(PyObject*) noexcept
    void give_body "mtsid_give_body"(Message, PyObject*) noexcept

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
    give_body(message, body)
    if not message.tracked and not holds_nothing(body):
        message.tracked = True
        track(message)


cdef inline void hold_next(Message message, PyObject* body, PyTypeObject** plain) noexcept:
    """`hold`, of one of many: `plain` is the latest type that held nothing, or NULL. Bodies are mostly of one type."""
    give_body(message, body)
    if message.tracked or body.ob_type == plain[0]:
        return
    if holds_nothing(body):
        plain[0] = body.ob_type
    else:
        message.tracked = True
        track(message)
