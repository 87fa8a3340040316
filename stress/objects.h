/* The life of the package's objects as ThreadSanitizer must see it, for the stress programs alone.
 *
 * On free-threaded Python three things order our threads that only the interpreter's own atomics show, and the
 * interpreter is not compiled with ThreadSanitizer. They are told here, at the doors of each type:
 *
 *   memory       what was freed is handed out again after that        tp_free releases, tp_alloc acquires
 *   references   an object ends after all who dropped it (references.h)   tp_dealloc acquires
 *   collector    it walks over objects while the world is stopped     tp_traverse: its reads are left out
 *                it takes dead cycles apart after that                tp_clear: its reads and writes are left out
 *
 * With a GIL, which is a pthread mutex, ThreadSanitizer sees all three, and nothing is changed. */
#ifndef STRESS_OBJECTS_H
#define STRESS_OBJECTS_H

#include <Python.h>

#if defined(__SANITIZE_THREAD__) && defined(Py_GIL_DISABLED)

#include <sanitizer/tsan_interface.h>

void AnnotateIgnoreReadsBegin(const char *file, int line); /* of libtsan, which has no header for them */
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

enum { STRESS_TYPES = 16 };

typedef struct {
    PyTypeObject *type;
    allocfunc alloc;
    freefunc free;
    destructor dealloc;
    traverseproc traverse;
    inquiry clear;
} stress_doors;

static stress_doors stress_types[STRESS_TYPES];

static stress_doors *stress_doors_of(PyTypeObject *type)
{
    for (; type; type = type->tp_base)
        for (int i = 0; i < STRESS_TYPES; i++)
            if (stress_types[i].type == type)
                return &stress_types[i];
    Py_FatalError("a type that was never told of");
}

static PyObject *stress_alloc(PyTypeObject *type, Py_ssize_t count)
{
    PyObject *object = stress_doors_of(type)->alloc(type, count);
    if (object)
        __tsan_acquire(object);
    return object;
}

static void stress_free(void *object)
{
    __tsan_release(object);
    stress_doors_of(Py_TYPE((PyObject *)object))->free(object);
}

static void stress_dealloc(PyObject *object)
{
    __tsan_acquire(object);
    stress_doors_of(Py_TYPE(object))->dealloc(object);
}

static int stress_traverse(PyObject *object, visitproc visit, void *arg)
{
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    int error = stress_doors_of(Py_TYPE(object))->traverse(object, visit, arg);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    return error;
}

static int stress_clear(PyObject *object)
{
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    int error = stress_doors_of(Py_TYPE(object))->clear(object);
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    return error;
}

static int stress_tell_of(PyTypeObject *type)
{
    for (int i = 0; i < STRESS_TYPES; i++)
        if (!stress_types[i].type) {
            stress_types[i] = (stress_doors){type,          type->tp_alloc,    type->tp_free,
                                             type->tp_dealloc, type->tp_traverse, type->tp_clear};
            type->tp_alloc = stress_alloc;
            type->tp_free = stress_free;
            type->tp_dealloc = stress_dealloc;
            if (type->tp_traverse)
                type->tp_traverse = stress_traverse;
            if (type->tp_clear)
                type->tp_clear = stress_clear;
            return 0;
        }
    PyErr_SetString(PyExc_RuntimeError, "too many types: enlarge STRESS_TYPES");
    return -1;
}

#else

static inline int stress_tell_of(PyTypeObject *type) { (void)type; return 0; }

#endif

#endif
