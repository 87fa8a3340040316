"""numpy, imported at the first bulk call: `import mtsid` shall not cost its tenth of a second."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint64_t

from mtsid.core.atomic cimport load_acquire, store_release, word


cdef extern from *:
    """
    static mtsid_word mtsid_numpy; /* a PyObject*, kept for good; one a compiled module */
    """
    word numpy_parts "mtsid_numpy"


cdef inline tuple get_numpy_parts():
    """The module, its `empty`, and the type uint32; two threads that come first store the same."""
    cdef uint64_t address = load_acquire(&numpy_parts)  # N1
    if address:
        return <tuple> <PyObject*> <size_t> address
    import numpy
    parts = (numpy, numpy.empty, numpy.dtype(numpy.uint32))
    Py_INCREF(parts)
    store_release(&numpy_parts, <uint64_t> <size_t> <PyObject*> parts)  # N0
    return parts


cdef inline object get_numpy():
    return get_numpy_parts()[0]


cdef inline object new_array(uint64_t length):
    """A fresh uint32 array."""
    cdef tuple parts = get_numpy_parts()
    return parts[1](length, parts[2])
