/* The monitor that makes a queue's operation one step.
 *
 * With the GIL it is nothing at all: the caller holds the GIL, and between `enter` and `leave` there is no Python
 * call, no allocation and no decref, so nothing can run in between. Without the GIL it is CPython's one-byte mutex,
 * held for tens of nanoseconds; a thread that finds it taken backs off for some microseconds, and if that does not help
 * it waits in the mutex, which yields 40 times and then detaches. Such a thread delays a stop-the-world pause by that.
 *
 * What may not happen inside: a decref, an allocation, a Python call, an exception, a second monitor.
 *
 * Fork. Python forks with the GIL held, or with the world stopped; either way no other thread is inside a monitor, and
 * what the child gets is whole. But a free-threaded mutex may have been handed to a thread that was about to enter and
 * is not in the child, so the child renews every mutex. (To take them all before the fork, as malloc does, would wait
 * for such a thread for ever: it cannot run while the world is stopped.)
 *
 * ThreadSanitizer sees what is compiled with it and what goes through the C library: a GIL, which is a pthread mutex, but
 * neither CPython's one-byte mutex nor a stopped world. So in that build, and in no other, it is told: here a monitor's
 * order begins, there it ends; and `mtsid_monitor_alone` says where nobody else can be inside any more.
 */
#ifndef MTSID_MONITOR_H
#define MTSID_MONITOR_H

#include <Python.h>

#include "atomic.h"

#ifdef MTSID_SCHEDULED

/* Entering and leaving are scheduling points, and the scheduler keeps whoever must wait: there is no mutex of our own. */
typedef struct { char unused; } mtsid_monitor;

static inline void mtsid_monitor_open(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_close(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_enter(mtsid_monitor *monitor) { MTSID_POINT(MTSID_LOCK, monitor); }
static inline void mtsid_monitor_leave(mtsid_monitor *monitor) { MTSID_POINT(MTSID_UNLOCK, monitor); }
static inline void mtsid_monitor_alone(mtsid_monitor *monitor) { (void)monitor; }

#elif defined(Py_GIL_DISABLED)

#include <pthread.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
#define MTSID_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define MTSID_PAUSE() __asm__ volatile("isb") /* `yield` does nothing on most cores */
#else
#define MTSID_PAUSE() ((void)0)
#endif

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define MTSID_TELL_TSAN
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(MTSID_TELL_TSAN)
#include <sanitizer/tsan_interface.h>
#define MTSID_BEGINS(monitor) __tsan_acquire(&(monitor)->mutex)
#define MTSID_ENDS(monitor) __tsan_release(&(monitor)->mutex)
#else
#define MTSID_BEGINS(monitor) ((void)(monitor))
#define MTSID_ENDS(monitor) ((void)(monitor))
#endif

typedef struct mtsid_monitor {
    PyMutex mutex;
    struct mtsid_monitor *next, *previous; /* every monitor of this module, for the child of a fork */
} mtsid_monitor;

static pthread_mutex_t mtsid_monitors_guard = PTHREAD_MUTEX_INITIALIZER;
static mtsid_monitor *mtsid_monitors;

static void mtsid_monitors_renew(void)
{
    for (mtsid_monitor *monitor = mtsid_monitors; monitor; monitor = monitor->next)
        memset(&monitor->mutex, 0, sizeof monitor->mutex);
}

static void mtsid_monitors_enrol(void)
{
    pthread_atfork(NULL, NULL, mtsid_monitors_renew);
}

static inline void mtsid_monitor_open(mtsid_monitor *monitor)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, mtsid_monitors_enrol);
    memset(monitor, 0, sizeof *monitor);
    pthread_mutex_lock(&mtsid_monitors_guard);
    monitor->next = mtsid_monitors;
    if (monitor->next)
        monitor->next->previous = monitor;
    mtsid_monitors = monitor;
    pthread_mutex_unlock(&mtsid_monitors_guard);
}

static inline void mtsid_monitor_close(mtsid_monitor *monitor)
{
    pthread_mutex_lock(&mtsid_monitors_guard);
    if (monitor->previous)
        monitor->previous->next = monitor->next;
    else
        mtsid_monitors = monitor->next;
    if (monitor->next)
        monitor->next->previous = monitor->previous;
    pthread_mutex_unlock(&mtsid_monitors_guard);
}

/* Where two cores want one monitor, each step first brings the cache lines that it needs over from the other core, which
 * costs more than the step itself. So a thread that finds the mutex taken backs off, and leaves it and those cache lines to
 * the other for twenty steps or so. To spin, looking all the time, takes the mutex at once and saves nothing; to yield with
 * each collision, as the mutex itself does, has the system switch threads all the time. docs/DESIGN.md has the figures. */
enum { MTSID_BACKOFF = 3000 /* nanoseconds */, MTSID_TRIES = 10 };

static inline uint64_t mtsid_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static __attribute__((cold, noinline, unused)) void mtsid_monitor_wait(mtsid_monitor *monitor)
{
    for (int tries = 0; tries < MTSID_TRIES; tries++) {
        uint64_t until = mtsid_nanoseconds() + MTSID_BACKOFF;
        uint8_t bits;
        do
            MTSID_PAUSE();
        while (mtsid_nanoseconds() < until);
        bits = _Py_atomic_load_uint8_relaxed(&monitor->mutex._bits); /* free, though others may be parked there */
        if (!(bits & _Py_LOCKED) && _Py_atomic_compare_exchange_uint8(&monitor->mutex._bits, &bits, bits | _Py_LOCKED))
            return;
    }
    PyMutex_Lock(&monitor->mutex);
}

static inline void mtsid_monitor_enter(mtsid_monitor *monitor)
{
    uint8_t expected = _Py_UNLOCKED;
    if (!_Py_atomic_compare_exchange_uint8(&monitor->mutex._bits, &expected, _Py_LOCKED))
        mtsid_monitor_wait(monitor);
    MTSID_BEGINS(monitor);
}

static inline void mtsid_monitor_leave(mtsid_monitor *monitor)
{
    MTSID_ENDS(monitor);
    PyMutex_Unlock(&monitor->mutex);
}

static inline void mtsid_monitor_alone(mtsid_monitor *monitor) { MTSID_BEGINS(monitor); }

#else

typedef struct { char unused; } mtsid_monitor;

static inline void mtsid_monitor_open(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_close(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_enter(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_leave(mtsid_monitor *monitor) { (void)monitor; }
static inline void mtsid_monitor_alone(mtsid_monitor *monitor) { (void)monitor; }

#endif

#endif
