/* A shorter way into a method for its commonest call.
 *
 * `queue.put(item)` spends more instructions on three arguments that were not given than on the message: the wrapper that
 * Cython writes fills a table, takes a reference to each default and drops it again. So a method may get an entry of its
 * own, with CPython's own calling convention, which serves the common call and hands every other one to the wrapper.
 * The method stays what it was in all else: its name, text, signature and errors are the wrapper's.
 *
 * Only while the module is initialised, before anybody can call the method.
 */
#ifndef MTSID_ENTRY_H
#define MTSID_ENTRY_H

#include <Python.h>
#include <string.h>

typedef PyObject *(*mtsid_entry)(PyObject *self, PyObject **arguments, Py_ssize_t given, PyObject *names);

/* Puts `entry` in front of the type's own method; returns the wrapper, or NULL and an exception: the method is not there,
 * or Cython has given it another convention. */
static inline mtsid_entry mtsid_set_entry(PyTypeObject *type, const char *name, mtsid_entry entry)
{
    for (PyMethodDef *method = type->tp_methods; method && method->ml_name; method++) {
        if (strcmp(method->ml_name, name) == 0 && method->ml_flags == (METH_FASTCALL | METH_KEYWORDS)) {
            mtsid_entry wrapper = (mtsid_entry)(void (*)(void))method->ml_meth;
            method->ml_meth = (PyCFunction)(void (*)(void))entry;
            return wrapper;
        }
    }
    PyErr_Format(PyExc_SystemError, "%s.%s is not a method with a vector of arguments", type->tp_name, name);
    return NULL;
}

#endif
