"""What callers may pass, checked in one place. Each check either returns a C value or raises and changes nothing.

An integer is anything with `__index__` except bool: True as an id is a mistake far more often than a wish.
"""

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport INFINITY, isnan
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef extern from *:
    """
    /* An int of one digit, which nearly every id is, without a call. */
    static inline int mtsid_small_int(PyObject *number, int64_t *value)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        if (!PyUnstable_Long_IsCompact((PyLongObject *)number))
            return 0;
        *value = PyUnstable_Long_CompactValue((PyLongObject *)number);
    #else
        if (Py_SIZE(number) != 1)
            return 0;
        *value = ((PyLongObject *)number)->ob_digit[0];
    #endif
        return 1;
    }
    """
    bint small_int "mtsid_small_int"(object number, int64_t* value) noexcept


cdef extern from "Python.h":
    int64_t FAR "(INT64_MAX / 2)"
    long long PyLong_AsLongLongAndOverflow(object, int* overflow) except? -1
    const Py_ssize_t PY_SSIZE_T_MAX
    list PyList_GetSlice(object, Py_ssize_t low, Py_ssize_t high)
    object PyNumber_Index(object)
    object PyNumber_Float(object)
    bint PyNumber_Check(object) noexcept


cdef inline str shown(object number):
    """A number for an error text. Python refuses to print very long ones."""
    try:
        return repr(number)
    except ValueError:
        return f"a number of {number.bit_length()} bits"


cdef inline bint is_bool(object value):
    """Python's bool, or numpy's, which had an `__index__` before numpy 2 and is known by its name without an import."""
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


cdef inline int64_t as_integer(object value, str name) except? -1:
    """The value in C; what lies beyond half of 64 bits comes back as its end, which no range holds."""
    cdef int overflow = 0
    cdef int64_t result
    if PyLong_CheckExact(value) and small_int(value, &result):
        return result
    if not PyLong_CheckExact(value):
        if is_bool(value):
            raise TypeError(f"{name} must be an integer, not the bool {value!r}")
        try:
            value = PyNumber_Index(value)
        except TypeError:
            raise TypeError(f"{name} must be an integer, not {type(value).__name__!r}") from None
    result = PyLong_AsLongLongAndOverflow(value, &overflow)
    # Kept this far from the ends, a caller may subtract the first id without overflow.
    if overflow > 0 or result > FAR:
        return FAR
    if overflow < 0 or result < -FAR:
        return -FAR
    return result


cdef inline double as_seconds(object value, str name) except -1:
    """Seconds, 0 or more; None and infinity mean for ever."""
    cdef double seconds
    if value is None:
        return INFINITY
    if PyFloat_CheckExact(value):
        seconds = PyFloat_AS_DOUBLE(value)
        if seconds >= 0:
            return seconds
    if is_bool(value) or not PyNumber_Check(value):  # float() would read text too
        raise TypeError(f"{name} must be seconds or None, not {type(value).__name__!r}")
    # numpy's complex numbers would give their real part, with a warning.
    if isinstance(value, complex) or getattr(getattr(value, "dtype", None), "kind", "") == "c":
        raise TypeError(f"{name} must be seconds or None, not {type(value).__name__!r}")
    try:
        seconds = PyNumber_Float(value)
    except OverflowError:
        if value < 0:
            raise ValueError(f"{name} must not be negative") from None
        return INFINITY
    except TypeError:
        raise TypeError(f"{name} must be seconds or None, not {type(value).__name__!r}") from None
    if isnan(seconds):
        raise ValueError(f"{name} must be seconds or None, not NaN")
    if seconds < 0:
        raise ValueError(f"{name} must not be negative, but is {value!r}")
    return seconds


cdef inline double as_timeout(object value) except -1:
    """Seconds to wait."""
    return as_seconds(value, "timeout")


cdef inline bint as_flag(object value, str name) except -1:
    """A true or false: anything with a truth value of its own kind, but not text, which is always a mistake here."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} must be true or false, not {type(value).__name__!r}")
    return bool(value)


cdef inline tuple as_range(object first, object last, object exclude, object order):
    """An allocator's range, checked: first, last, the excluded ids within it, and whether the order is "lowest"."""
    cdef int64_t low = as_integer(first, "first")
    cdef int64_t high = as_integer(last, "last")
    cdef int64_t id
    if not 0 <= low <= 0xFFFFFFFF:
        raise ValueError(f"first must lie within 0 .. 4294967295, but is {shown(first)}")
    if not 0 <= high <= 0xFFFFFFFF:
        raise ValueError(f"last must lie within 0 .. 4294967295, but is {shown(last)}")
    if low > high:
        raise ValueError(f"first must not be greater than last, but {shown(first)} > {shown(last)}")
    if not isinstance(order, str):
        raise TypeError(f"order must be 'cyclic' or 'lowest', not {type(order).__name__!r}")
    if order not in ("cyclic", "lowest"):
        raise ValueError(f"order must be 'cyclic' or 'lowest', but is {order!r}")
    excluded = set()
    for item in as_list(exclude, "exclude"):
        id = as_integer(item, "an excluded id")
        if not 0 <= id <= 0xFFFFFFFF:
            raise ValueError(f"an excluded id must lie within 0 .. 4294967295, but is {shown(item)}")
        if low <= id <= high:
            excluded.add(id)
    if len(excluded) > high - low:
        raise ValueError("every id of the range is excluded: none is left to hand out")
    return low, high, excluded, order == "lowest"


cdef inline list list_of(object items):
    """`list(items)`, quicker where it is a list already."""
    return PyList_GetSlice(items, 0, PY_SSIZE_T_MAX) if type(items) is list else list(items)


cdef inline list as_list(object ids, str name):
    """Any iterable or flat array as a list of its own."""
    if isinstance(ids, (str, bytes, bytearray)):
        raise TypeError(f"{name} must be a sequence or array, not {type(ids).__name__!r}")
    if getattr(ids, "ndim", 1) != 1:
        raise ValueError(f"{name} must have one dimension, but has {ids.ndim}")
    try:
        return list_of(ids)
    except TypeError:
        raise TypeError(f"{name} must be a sequence or array, not {type(ids).__name__!r}") from None


cdef inline object as_integers(object ids, str name):
    """Any iterable of integers as a list of its own; a flat array of integers as one of native uint32."""
    dtype = getattr(ids, "dtype", None)
    if dtype is None:
        return as_list(ids, name)
    if getattr(dtype, "kind", "?") not in "iu":
        raise TypeError(f"{name} must hold integers, not {dtype}")
    if getattr(ids, "mask", None) is not None:  # numpy.ma: what is masked is not meant, but its number is there
        raise TypeError(f"{name} must not be a masked array: pass {name}.compressed()")
    if ids.ndim != 1:
        raise ValueError(f"{name} must have one dimension, but has {ids.ndim}")
    if dtype.char == "I" and dtype.isnative and dtype.itemsize == 4:
        return ids
    if len(ids) and (ids.min() < 0 or ids.max() > 0xFFFFFFFF):
        raise ValueError(f"{name} must lie within 0 .. 4294967295")
    return ids.astype("uint32")


cdef inline bytes as_offsets(object ids, int64_t first, uint64_t size, str name):
    """The ids of a bulk call as uint32 offsets from `first`, in memory that nobody else can change meanwhile.

    TypeError, or ValueError for what is outside the range; nothing else is checked here.
    """
    cdef Py_buffer view
    cdef Py_ssize_t length, i
    cdef uint32_t* offsets
    cdef uint32_t last = <uint32_t> (size - 1)
    cdef uint32_t outside = 0
    cdef int64_t value
    cdef bytes memory
    ids = as_integers(ids, name)
    if type(ids) is list:
        length = len(ids)
        memory = PyBytes_FromStringAndSize(NULL, length * sizeof(uint32_t))
        offsets = <uint32_t*> PyBytes_AS_STRING(memory)
        for i in range(length):
            value = as_integer(ids[i], "an id")
            if value < first or <uint64_t> (value - first) >= size:
                raise ValueError(f"id {shown(ids[i])} is outside the range {first} .. {first + <int64_t> size - 1}")
            offsets[i] = <uint32_t> (value - first)
        return memory
    PyObject_GetBuffer(ids, &view, PyBUF_STRIDES)
    if view.ndim != 1 or view.itemsize != sizeof(uint32_t):
        PyBuffer_Release(&view)
        raise TypeError(f"{name} must be a flat array of integers")
    try:
        length = view.shape[0]
        memory = PyBytes_FromStringAndSize(NULL, length * sizeof(uint32_t))
    except MemoryError:
        PyBuffer_Release(&view)
        raise
    offsets = <uint32_t*> PyBytes_AS_STRING(memory)
    if length and view.strides[0] == sizeof(uint32_t):
        memcpy(offsets, view.buf, length * sizeof(uint32_t))
    else:
        for i in range(length):
            memcpy(&offsets[i], <char*> view.buf + i * view.strides[0], sizeof(uint32_t))
    PyBuffer_Release(&view)
    for i in range(length):  # without a branch, for vectors; a number below `first` wraps round, to behind the last
        offsets[i] -= <uint32_t> first
        outside |= offsets[i] > last
    if outside:
        for i in range(length):
            if offsets[i] > last:
                raise ValueError(
                    f"id {<uint32_t> (offsets[i] + first)} is outside the range {first} .. {first + <int64_t> size - 1}"
                )
    return memory


cdef inline bint has_duplicate(uint32_t* ids, Py_ssize_t length, uint32_t* found) except -1:
    """Does a value stand twice? It is then left in `found`. Rising ids, the usual case, cost one comparison each."""
    cdef Py_ssize_t i
    cdef uint32_t falling = 0
    cdef Py_ssize_t size = 8
    cdef int shift = 61
    cdef Py_ssize_t slot
    cdef uint32_t* table
    for i in range(1, length):  # without a branch, for vectors
        falling |= ids[i - 1] >= ids[i]
    if not falling:
        return False
    # A hash table by open addressing; an entry is an index + 1, and 0 is empty.
    while size < 2 * length:
        size *= 2
        shift -= 1
    table = <uint32_t*> PyMem_Calloc(size, sizeof(uint32_t))
    if table == NULL:
        raise MemoryError()
    for i in range(length):
        # Knuth's multiplicative hash (2**64 by the golden ratio): ids at any regular distance spread over the table.
        slot = <Py_ssize_t> ((<uint64_t> ids[i] * <uint64_t> 0x9E3779B97F4A7C15) >> shift)
        while table[slot] != 0:
            if ids[table[slot] - 1] == ids[i]:
                found[0] = ids[i]
                PyMem_Free(table)
                return True
            slot = (slot + 1) & (size - 1)
        table[slot] = <uint32_t> (i + 1)
    PyMem_Free(table)
    return False
