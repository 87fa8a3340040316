"""The names of `entry.h`: a shorter way into a method for its commonest call."""

from cpython.object cimport PyObject, PyTypeObject


cdef extern from "entry.h":
    # The arguments are `given` in number, then the values of `names`, a tuple or NULL.
    ctypedef object (*Entry "mtsid_entry")(object self, PyObject** arguments, Py_ssize_t given, PyObject* names)

    Entry set_entry "mtsid_set_entry"(PyTypeObject* type, const char* name, void* entry) except NULL
