/* Where a thread sleeps: a token of its own, and Linux's futex on it.
 *
 * Unparking leaves the token, and wakes who sleeps; parking takes the token, and sleeps while there is none. So what was
 * left before the sleep ends it at once, and what was left twice is one to who sleeps (as java.util.concurrent's
 * LockSupport has it). Neither calls Python, and neither can fail: a thread may be unparked from `__del__`, a signal
 * handler or the collector. What was done before the token was left (U0) is seen by who took it (U1).
 *
 * Not a Python lock. Without the GIL that gives its core away forty times, with no look in between, before it sleeps; with
 * the GIL the calls alone are a tenth of a hand-off. Not a POSIX semaphore: an older C library can only wait by the
 * wall clock there, which somebody may set. Figures are in docs/DESIGN.md.
 *
 * Progress: blocking, by nature. Unparking is wait-free but for the system call.
 */
#ifndef MTSID_PARKING_H
#define MTSID_PARKING_H

#ifndef __linux__
#error "mtsid runs on Linux. For another system, parking.h wants a wait on a 32-bit word that a signal ends."
#endif

#include <Python.h>

#include <linux/futex.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Before it sleeps a thread gives its core away so often, and looks each time whether the token has come: half a microsecond
 * where nobody else wants the core, and to be put to sleep and woken takes eight. Not with the GIL, where whoever is to leave
 * the token first has to be given the GIL, and a hand-off took a third of the time in one run and a third more in another. */
#ifdef Py_GIL_DISABLED
#define MTSID_YIELDS 40
#else
#define MTSID_YIELDS 0
#endif

static inline void mtsid_unpark(uint32_t *token)
{
    __atomic_store_n(token, 1, __ATOMIC_RELEASE); /* U0 */
    syscall(SYS_futex, token, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Take the token (1); if it is not there sleep until it is, for `seconds` at most (0 or more; thirty years, and infinity,
 * are for ever), or until a signal, and take it if it has come. 0: it has not, and the caller looks at the clock and at
 * signals; there need be no reason. Without the GIL; for the token's own thread alone. */
static inline int mtsid_park(uint32_t *token, double seconds)
{
    struct { long seconds, nanoseconds; } limit; /* the kernel's own form, whatever time_t is; by the monotonic clock */
    if (__atomic_exchange_n(token, 0, __ATOMIC_ACQUIRE)) /* U1 */
        return 1;
    if (seconds < 1e9) {
        limit.seconds = (long)seconds;
        limit.nanoseconds = (long)((seconds - (double)limit.seconds) * 1e9);
    }
    for (int i = 0; i < MTSID_YIELDS; i++) {
        sched_yield();
        if (__atomic_exchange_n(token, 0, __ATOMIC_ACQUIRE)) /* U1 */
            return 1;
    }
    /* The system looks at the token once more before it lets the thread sleep. */
    syscall(SYS_futex, token, FUTEX_WAIT_PRIVATE, 0, seconds < 1e9 ? &limit : NULL, NULL, 0);
    return (int)__atomic_exchange_n(token, 0, __ATOMIC_ACQUIRE); /* U1 */
}

#endif
