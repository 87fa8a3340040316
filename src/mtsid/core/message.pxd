"""See message.pyx."""

from cpython.object cimport PyTypeObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class Message:
    cdef readonly object body
    cdef uint64_t serial        # of the queue
    cdef uint64_t receipt       # of this delivery; never used again in that queue
    cdef uint32_t slot          # where the queue keeps it
    cdef uint32_t number        # its MTSID
    cdef uint32_t times         # deliveries, this one included
    cdef uint8_t rank           # 0 urgent, 1 normal, 2 non-urgent


cdef extern from *:
    """
    /* A new object of that type at the end of the list; 0, and no exception, if there is no memory for it. */
    static int mtsid_append_fresh(PyObject *list, PyTypeObject *type, PyObject *arguments)
    {
        PyObject *fresh = type->tp_new(type, arguments, NULL);
        int done = fresh && PyList_Append(list, fresh) == 0;
        Py_XDECREF(fresh);
        if (!done)
            PyErr_Clear();
        return done;
    }

    /* `list.pop` may want memory, to make the list smaller. The list is nobody else's yet. */
    static void mtsid_drop_last(PyObject *list)
    {
        Py_ssize_t last = PyList_GET_SIZE(list) - 1;
        PyObject *item = PyList_GET_ITEM(list, last);
        Py_SET_SIZE((PyVarObject *)list, last);
        Py_DECREF(item);
    }
    """
    bint append_fresh "mtsid_append_fresh"(list messages, PyTypeObject* type, tuple arguments)
    void drop_last "mtsid_drop_last"(list messages)
