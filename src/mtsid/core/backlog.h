/* The memory of a backlog, and what the garbage collector must see of it. The operations stand in backlog.pxd. */
#ifndef MTSID_BACKLOG_H
#define MTSID_BACKLOG_H

#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

#include "atomic.h"
#include "monitor.h"

#define MTSID_NONE UINT32_MAX
#define MTSID_CHUNK 128 /* slots: 6 KB */

enum { MTSID_FREE, MTSID_FRESH, MTSID_RETURNED, MTSID_IN_FLIGHT, MTSID_DYING };

/* 48 bytes. */
typedef struct {
    PyObject *body;      /* owned; NULL when free */
    uint64_t entry;      /* order of entry, from 1 */
    uint64_t receipt;    /* of the latest delivery, from 1; never reused in this backlog */
    uint32_t next;       /* in the free list, the fresh line, or among the heap's siblings */
    uint32_t previous;   /* in the fresh line; in the heap the previous sibling, or the parent of a first child */
    uint32_t child;      /* in the heap: the first child */
    uint32_t deliveries; /* how often it was got */
    uint8_t state;
    uint8_t rank;        /* 0 urgent, 1 normal, 2 non-urgent */
} mtsid_slot;

typedef struct {
    uint32_t first, last; /* entered and never got: a line in order of entry */
    uint32_t returned;    /* got and returned: the root of a pairing heap by entry */
} mtsid_line;

/* What cannot be told from the rest of the backlog. */
typedef struct {
    uint64_t high_water;              /* the most messages at once, as of the last one that left */
    uint64_t returned;                /* how often a message came back */
    uint64_t deleted, dead, discarded; /* of those that left: by an operator, to `on_dead`, by a shutdown */
    uint64_t withdrawn;               /* entries that nobody was told of */
    uint64_t full, empty;             /* calls that ended so */
    uint64_t stale, refused;          /* receipts, and bare numbers, that named nothing live */
} mtsid_counts;

typedef struct {
    mtsid_monitor monitor;            /* guards all below, save `serial` and `capacity`, which never change */
    uint64_t serial;                  /* which backlog of this process: a receipt is worth something only here */
    uint64_t capacity;
    uint64_t ready;                   /* slots for which there is memory */
    uint64_t used;                    /* slots that were ever taken; those behind are free, and in no list */
    uint32_t free_first, free_last;   /* slots given back, first in, first out */
    uint64_t entries, receipts;       /* the latest numbers given */
    uint64_t waiting, in_flight;
    int closed;
    mtsid_line lines[3];
    mtsid_counts counted;
    mtsid_slot **chunks;              /* [capacity / 128]: slots never move, and memory grows with use */
} mtsid_backlog;

static inline mtsid_slot *mtsid_slot_at(mtsid_backlog *self, uint64_t slot)
{
    return self->chunks[slot / MTSID_CHUNK] + slot % MTSID_CHUNK;
}

/* Stands in backlog.pxd. Rare and large: drawn into the steps, it would push out what every message needs there. */
#ifdef __GNUC__
__attribute__((cold, unused))
#endif
static void mtsid_heap_remove(mtsid_backlog *self, mtsid_line *line, uint32_t number);

static inline uint64_t mtsid_next_serial(void)
{
    static mtsid_word serials;
    return mtsid_add_seq_cst(&serials, 1) + 1;
}

/* The collector ------------------------------------------------------------------------------------------------------
 *
 * A type that owns a backlog hands its payloads to the collector by these two functions, since Cython's own know of
 * Python attributes only. With the GIL the collector never runs inside the monitor, and without it the world is
 * stopped at a point outside: so the slots can be read as they are. One such type a compiled module.
 */
static traverseproc mtsid_traverse_rest;
static Py_ssize_t mtsid_backlog_offset;

static inline mtsid_backlog *mtsid_backlog_in(PyObject *self)
{
    return (mtsid_backlog *)((char *)self + mtsid_backlog_offset);
}

static int mtsid_traverse(PyObject *self, visitproc visit, void *arg)
{
    mtsid_backlog *backlog = mtsid_backlog_in(self);
    int error = mtsid_traverse_rest(self, visit, arg);
    if (error)
        return error;
    for (uint64_t i = 0; i < backlog->used; i++)
        Py_VISIT(mtsid_slot_at(backlog, i)->body);
    return 0;
}

/* Breaks cycles through payloads. The messages stay, without their bodies; the attributes stay too, so that whatever
 * runs while the cycle falls apart finds a queue that works. */
static int mtsid_clear(PyObject *self)
{
    mtsid_backlog *backlog = mtsid_backlog_in(self);
    mtsid_monitor_alone(&backlog->monitor);
    for (uint64_t i = 0; i < backlog->used; i++) {
        mtsid_slot *slot = mtsid_slot_at(backlog, i);
        if (slot->body) {
            PyObject *body = slot->body;
            Py_INCREF(Py_None);
            slot->body = Py_None;
            Py_DECREF(body);
        }
    }
    return 0;
}

static inline void mtsid_show_payloads(PyTypeObject *type, Py_ssize_t offset)
{
    mtsid_backlog_offset = offset;
    mtsid_traverse_rest = type->tp_traverse;
    type->tp_traverse = mtsid_traverse;
    type->tp_clear = mtsid_clear;
}

#endif
