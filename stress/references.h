/* Put before every module of a free-threaded ThreadSanitizer build (gcc -include): tells it of CPython's reference counts.
 *
 * The interpreter itself is not compiled with ThreadSanitizer, so its part of the work is invisible: here, that whoever
 * drops a reference is done with the object, and whoever drops the last one comes after all of them. Each drop in our
 * modules is a release on the object, and its end (objects.h) the acquire. Nothing acquires on any other occasion, so
 * this orders an object's uses before its end, and nothing else. */
#ifndef STRESS_REFERENCES_H
#define STRESS_REFERENCES_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#include <sanitizer/tsan_interface.h>

static inline void stress_drop(PyObject *object)
{
    if (!_Py_IsImmortal(object))
        __tsan_release(object);
    Py_DECREF(object);
}

#undef Py_DECREF
#undef Py_XDECREF
#define Py_DECREF(object) stress_drop(_PyObject_CAST(object))
#define Py_XDECREF(object)                              \
    do {                                                \
        PyObject *stress_object = _PyObject_CAST(object); \
        if (stress_object)                              \
            stress_drop(stress_object);                 \
    } while (0)

#endif
