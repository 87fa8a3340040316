/* How a Message comes and goes: the object of every get, gone with the ack, and so a third of what a message costs.
 *
 * 1.  A message of a body that holds nothing else (bytes, str, a number) is none of the collector's business, and is not
 *     tracked: as with CPython's tuples, a cycle cannot lead through it. `hold`, in message.pxd, decides.
 * 2.  Such a message dies without CPython's trashcan, which keeps messages in messages in messages from overrunning the
 *     stack: its body holds no message. A tracked one goes by the trashcan.
 * 3.  With the GIL the memory of the dead is kept for the next ones, as Cython's freelists do; not without it, nor under
 *     AddressSanitizer, which would not see a late use (gcc says so by a macro, clang by a feature).
 *
 * What comes back is blank: no serial, so an unfilled Message settles nothing, whatever lay there before.
 *
 * Included once, by message.pyx, behind the layout that Cython gives the class.
 */
#ifndef MTSID_MESSAGE_H
#define MTSID_MESSAGE_H

#include <Python.h>
#include <stddef.h>
#include <string.h>

typedef struct __pyx_obj_5mtsid_4core_7message_Message mtsid_message; /* its name in Cython's C */

static PyTypeObject *mtsid_message_type;

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define MTSID_SPARES 0
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MTSID_SPARES 0
#endif
#ifndef MTSID_SPARES
#define MTSID_SPARES CYTHON_USE_FREELISTS
#endif

#if MTSID_SPARES
static mtsid_message *mtsid_spare[256];
static int mtsid_spares;
#endif

/* A blank message, not tracked; NULL and MemoryError. */
static PyObject *mtsid_fresh_message(void)
{
    mtsid_message *message;
#if MTSID_SPARES
    if (mtsid_spares) {
        message = mtsid_spare[--mtsid_spares];
        _Py_NewReference((PyObject *)message);
    } else
#endif
    {
        message = PyObject_GC_New(mtsid_message, mtsid_message_type);
        if (!message)
            return NULL;
    }
    memset((char *)message + offsetof(mtsid_message, body), 0, sizeof *message - offsetof(mtsid_message, body));
    Py_INCREF(Py_None);
    message->body = Py_None;
    return (PyObject *)message;
}

static PyObject *mtsid_message_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    (void)type, (void)arguments, (void)names; /* the class is final, and its __init__ refuses */
    return mtsid_fresh_message();
}

static inline void mtsid_end_message(mtsid_message *message)
{
    Py_DECREF(message->body); /* which may make messages, and end others */
#if MTSID_SPARES
    if (mtsid_spares < (int)(sizeof mtsid_spare / sizeof *mtsid_spare)) {
        mtsid_spare[mtsid_spares++] = message;
        return;
    }
#endif
    PyObject_GC_Del(message);
}

static void mtsid_message_dealloc(PyObject *self)
{
    if (!((mtsid_message *)self)->tracked) {
        mtsid_end_message((mtsid_message *)self);
        return;
    }
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, mtsid_message_dealloc)
    mtsid_end_message((mtsid_message *)self);
    Py_TRASHCAN_END
}

/* While the module is initialised, before there is a message. 0, or -1 and an exception. */
static int mtsid_set_message_life(PyTypeObject *type)
{
    if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        PyErr_SetString(PyExc_SystemError, "Cython has made Message a heap type, to which each message would need a reference");
        return -1;
    }
    mtsid_message_type = type;
    type->tp_new = mtsid_message_new;
    type->tp_dealloc = mtsid_message_dealloc;
    return 0;
}

#endif
