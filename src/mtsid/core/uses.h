/* The memory of what ids stand for, and what the garbage collector must see of it. The operations are in uses.pxd. */
#ifndef MTSID_USES_H
#define MTSID_USES_H

#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

#include "monitor.h"

#define MTSID_USES_A_CHUNK 128 /* 2 KB */

/* 16 bytes. */
typedef struct {
    PyObject *payload;   /* owned; NULL while the id is free or rests */
    uint64_t generation; /* from 1, never twice in one table; 0 while the id is free */
} mtsid_use;

typedef struct mtsid_uses_chunk {
    struct mtsid_uses_chunk *next, *previous; /* among those that exist, the newest first */
    uint64_t number;                          /* it is for the offsets from number * 128 on */
    uint64_t count;                           /* uses in it */
    mtsid_use uses[MTSID_USES_A_CHUNK];
} mtsid_uses_chunk;

typedef struct {
    mtsid_monitor monitor;     /* guards all below, and the rest of the table */
    mtsid_uses_chunk **chunks; /* [(size + 127) / 128], NULL where there is no use; never changes itself */
    mtsid_uses_chunk *first;   /* those that exist */
    mtsid_uses_chunk *empty;   /* the one of them without a use; NULL */
    int settled;               /* the collector walks over them: none may go any more */
} mtsid_uses;

/* The collector ------------------------------------------------------------------------------------------------------
 *
 * As for queues (backlog.h): Cython's own functions know of Python attributes only. With the GIL the collector never
 * runs inside the monitor, and without it the world is stopped at a point outside. One such type a compiled module.
 */
static traverseproc mtsid_traverse_rest;
static Py_ssize_t mtsid_uses_offset;

static inline mtsid_uses *mtsid_uses_in(PyObject *self)
{
    return (mtsid_uses *)((char *)self + mtsid_uses_offset);
}

static int mtsid_traverse(PyObject *self, visitproc visit, void *arg)
{
    int error = mtsid_traverse_rest(self, visit, arg);
    if (error)
        return error;
    for (mtsid_uses_chunk *chunk = mtsid_uses_in(self)->first; chunk; chunk = chunk->next)
        for (int i = 0; i < MTSID_USES_A_CHUNK; i++)
            Py_VISIT(chunk->uses[i].payload);
    return 0;
}

/* Breaks cycles through payloads. The ids stay in use, without their payloads; the attributes stay too, so that what
 * runs while the cycle falls apart finds a table that works. It may even add and pop: no chunk goes from here on. */
static int mtsid_clear(PyObject *self)
{
    mtsid_uses *uses = mtsid_uses_in(self);
    mtsid_monitor_alone(&uses->monitor);
    uses->settled = 1;
    for (mtsid_uses_chunk *chunk = uses->first; chunk; chunk = chunk->next) {
        for (int i = 0; i < MTSID_USES_A_CHUNK; i++) {
            PyObject *payload = chunk->uses[i].payload;
            if (payload) {
                Py_INCREF(Py_None);
                chunk->uses[i].payload = Py_None;
                Py_DECREF(payload);
            }
        }
    }
    return 0;
}

static inline void mtsid_show_payloads(PyTypeObject *type, Py_ssize_t offset)
{
    mtsid_uses_offset = offset;
    mtsid_traverse_rest = type->tp_traverse;
    type->tp_traverse = mtsid_traverse;
    type->tp_clear = mtsid_clear;
}

#endif
