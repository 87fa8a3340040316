"""numpy, imported at the first bulk call: `import mtsid` shall not cost its tenth of a second."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint64_t

from mtsid.core.atomic cimport load_acquire, store_release, word


cdef extern from *:
    """
    static mtsid_word mtsid_numpy; /* a PyObject*, kept for good; one a compiled module */
    """
    word numpy_module "mtsid_numpy"


cdef inline object get_numpy():
    """The module; two threads that come first store the same."""
    cdef uint64_t address = load_acquire(&numpy_module)  # N1
    if address:
        return <object> <PyObject*> <size_t> address
    import numpy
    Py_INCREF(numpy)
    store_release(&numpy_module, <uint64_t> <size_t> <PyObject*> numpy)  # N0
    return numpy


cdef inline object new_array(uint64_t length):
    """A fresh uint32 array."""
    numpy = get_numpy()
    return numpy.empty(length, numpy.uint32)
