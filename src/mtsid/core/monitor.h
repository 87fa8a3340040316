/* The monitor that makes a queue's operation one step.
 *
 * With the GIL it is nothing at all: the caller holds the GIL, and between `enter` and `leave` there is no Python
 * call, no allocation and no decref, so nothing can run in between. Without the GIL it is CPython's one-byte mutex,
 * held for tens of nanoseconds; a thread that must wait for it detaches first, so it never stands in the way of a
 * stop-the-world pause.
 *
 * What may not happen inside: a decref, an allocation, a Python call, an exception, a second monitor.
 */
#ifndef MTSID_MONITOR_H
#define MTSID_MONITOR_H

#include <Python.h>
#include <string.h>

#include "forksafe.h"

#ifdef Py_GIL_DISABLED

typedef struct {
    mtsid_forksafe fork; /* first, so that a pointer to one is a pointer to the other */
    PyMutex mutex;
} mtsid_monitor;

static void mtsid_monitor_take(mtsid_forksafe *lock)
{
    PyMutex_Lock(&((mtsid_monitor *)lock)->mutex);
}

static void mtsid_monitor_give(mtsid_forksafe *lock)
{
    PyMutex_Unlock(&((mtsid_monitor *)lock)->mutex);
}

static void mtsid_monitor_renew(mtsid_forksafe *lock)
{
    memset(&((mtsid_monitor *)lock)->mutex, 0, sizeof(PyMutex));
}

static inline void mtsid_monitor_open(mtsid_monitor *monitor)
{
    memset(monitor, 0, sizeof *monitor);
    monitor->fork.take = mtsid_monitor_take;
    monitor->fork.give = mtsid_monitor_give;
    monitor->fork.renew = mtsid_monitor_renew;
    mtsid_forksafe_register(&monitor->fork);
}

static inline void mtsid_monitor_close(mtsid_monitor *monitor)
{
    mtsid_forksafe_forget(&monitor->fork);
}

static inline void mtsid_monitor_enter(mtsid_monitor *monitor)
{
    PyMutex_Lock(&monitor->mutex);
}

static inline void mtsid_monitor_leave(mtsid_monitor *monitor)
{
    PyMutex_Unlock(&monitor->mutex);
}

#else

typedef struct { char unused; } mtsid_monitor;

static inline void mtsid_monitor_open(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_close(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_enter(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_leave(mtsid_monitor *monitor) { (void)monitor; }

#endif

#endif
