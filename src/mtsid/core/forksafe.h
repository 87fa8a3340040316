/* Locks that a fork finds free.
 *
 * A child has only the thread that forked. A lock that another thread held at that moment stays locked for ever in the
 * child, with whatever it guards half changed. So, as malloc does, a fork takes every lock first (`prepare`), and both
 * parent and child give them back. Each module that includes this header keeps a list of its own; no thread holds two
 * locks at once, so the order of taking them does not matter.
 *
 * Nothing here calls Python. A lock may be registered or forgotten at any time, with the GIL or without.
 */
#ifndef MTSID_FORKSAFE_H
#define MTSID_FORKSAFE_H

#include <pthread.h>
#include <stddef.h>

typedef struct mtsid_forksafe {
    struct mtsid_forksafe *next, *previous;
    void (*take)(struct mtsid_forksafe *); /* before the fork, in the thread that forks */
    void (*give)(struct mtsid_forksafe *); /* after it, in the parent */
    void (*renew)(struct mtsid_forksafe *); /* after it, in the child: the waiters are gone too */
} mtsid_forksafe;

static pthread_mutex_t mtsid_forksafe_guard = PTHREAD_MUTEX_INITIALIZER;
static mtsid_forksafe *mtsid_forksafe_first;

static void mtsid_forksafe_prepare(void)
{
    pthread_mutex_lock(&mtsid_forksafe_guard);
    for (mtsid_forksafe *lock = mtsid_forksafe_first; lock; lock = lock->next)
        lock->take(lock);
}

static void mtsid_forksafe_parent(void)
{
    for (mtsid_forksafe *lock = mtsid_forksafe_first; lock; lock = lock->next)
        lock->give(lock);
    pthread_mutex_unlock(&mtsid_forksafe_guard);
}

static void mtsid_forksafe_child(void)
{
    for (mtsid_forksafe *lock = mtsid_forksafe_first; lock; lock = lock->next)
        lock->renew(lock);
    pthread_mutex_init(&mtsid_forksafe_guard, NULL);
}

static void mtsid_forksafe_enrol(void)
{
    pthread_atfork(mtsid_forksafe_prepare, mtsid_forksafe_parent, mtsid_forksafe_child);
}

static inline void mtsid_forksafe_register(mtsid_forksafe *lock)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, mtsid_forksafe_enrol);
    pthread_mutex_lock(&mtsid_forksafe_guard);
    lock->previous = NULL;
    lock->next = mtsid_forksafe_first;
    if (lock->next)
        lock->next->previous = lock;
    mtsid_forksafe_first = lock;
    pthread_mutex_unlock(&mtsid_forksafe_guard);
}

static inline void mtsid_forksafe_forget(mtsid_forksafe *lock)
{
    pthread_mutex_lock(&mtsid_forksafe_guard);
    if (lock->previous)
        lock->previous->next = lock->next;
    else
        mtsid_forksafe_first = lock->next;
    if (lock->next)
        lock->next->previous = lock->previous;
    pthread_mutex_unlock(&mtsid_forksafe_guard);
}

#endif
