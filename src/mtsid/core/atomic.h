/* The only door to C11 atomics. The memory order is in each name.
 *
 * Words are structs, so that no code can read or write one by accident without naming an order. Compare-exchange is
 * strong and takes the expected value by value, returning what it found: C11's write-back of the expected value forces
 * it into memory and costs on x86. A caller sees success as `found == expected`.
 */
#ifndef MTSID_ATOMIC_H
#define MTSID_ATOMIC_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

/* In the scheduled build (MTSID_SCHEDULED=1, see setup.py) each operation is a scheduling point: a scheduler, loaded before
 * any module, decides there which thread goes on (schedules/scheduler.c). In any other build nothing of it is left. */
#ifdef MTSID_SCHEDULED
#define MTSID_IS_SCHEDULED 1
enum { MTSID_LOAD, MTSID_STORE, MTSID_UPDATE, MTSID_FENCE, MTSID_YIELD, MTSID_LOCK, MTSID_UNLOCK, MTSID_PARK,
       MTSID_UNPARK };
void mtsid_schedule_point(int kind, const void *where);
int mtsid_schedule_active(void);
int mtsid_schedule_park(const void *whom);
#define MTSID_POINT(kind, where) mtsid_schedule_point(kind, where)
static inline void mtsid_schedule_unpark(const void *whom) { mtsid_schedule_point(MTSID_UNPARK, whom); }
#else
#define MTSID_IS_SCHEDULED 0
#define MTSID_POINT(kind, where) ((void)0)
static inline int mtsid_schedule_active(void) { return 0; }
static inline int mtsid_schedule_park(const void *whom) { (void)whom; return 0; }
static inline void mtsid_schedule_unpark(const void *whom) { (void)whom; }
#endif

typedef struct { _Atomic(uint64_t) value; } mtsid_word;

static inline uint64_t mtsid_load_relaxed(mtsid_word *word)
{
    MTSID_POINT(MTSID_LOAD, word);
    return atomic_load_explicit(&word->value, memory_order_relaxed);
}

static inline uint64_t mtsid_load_acquire(mtsid_word *word)
{
    MTSID_POINT(MTSID_LOAD, word);
    return atomic_load_explicit(&word->value, memory_order_acquire);
}

static inline uint64_t mtsid_load_seq_cst(mtsid_word *word)
{
    MTSID_POINT(MTSID_LOAD, word);
    return atomic_load_explicit(&word->value, memory_order_seq_cst);
}

static inline void mtsid_store_relaxed(mtsid_word *word, uint64_t value)
{
    MTSID_POINT(MTSID_STORE, word);
    atomic_store_explicit(&word->value, value, memory_order_relaxed);
}

static inline void mtsid_store_release(mtsid_word *word, uint64_t value)
{
    MTSID_POINT(MTSID_STORE, word);
    atomic_store_explicit(&word->value, value, memory_order_release);
}

static inline uint64_t mtsid_cas_seq_cst(mtsid_word *word, uint64_t expected, uint64_t desired)
{
    MTSID_POINT(MTSID_UPDATE, word);
    atomic_compare_exchange_strong_explicit(&word->value, &expected, desired, memory_order_seq_cst,
                                            memory_order_acquire);
    return expected;
}

static inline uint64_t mtsid_add_seq_cst(mtsid_word *word, uint64_t amount)
{
    MTSID_POINT(MTSID_UPDATE, word);
    return atomic_fetch_add_explicit(&word->value, amount, memory_order_seq_cst);
}

static inline uint64_t mtsid_or_seq_cst(mtsid_word *word, uint64_t bits)
{
    MTSID_POINT(MTSID_UPDATE, word);
    return atomic_fetch_or_explicit(&word->value, bits, memory_order_seq_cst);
}

static inline uint64_t mtsid_and_seq_cst(mtsid_word *word, uint64_t bits)
{
    MTSID_POINT(MTSID_UPDATE, word);
    return atomic_fetch_and_explicit(&word->value, bits, memory_order_seq_cst);
}

static inline void mtsid_fence_seq_cst(void)
{
    MTSID_POINT(MTSID_FENCE, (void *)0);
    atomic_thread_fence(memory_order_seq_cst);
}

/* Let another thread run: for the one who waits for a claim that a peer has half done. */
static inline void mtsid_yield(void)
{
    MTSID_POINT(MTSID_YIELD, (void *)0);
    sched_yield();
}

/* A small number for the calling thread, the same for its life. Threads are numbered in the order of their first call,
 * so that a few threads get different numbers modulo a small power of two. */
static inline uint64_t mtsid_thread_number(void)
{
    static mtsid_word threads;
    /* At a fixed distance from the thread's own pointer: one load, and no call to the loader to look for it. */
    static _Thread_local uint64_t mine __attribute__((tls_model("initial-exec")));
    if (!mine)
        mine = atomic_fetch_add_explicit(&threads.value, 1, memory_order_seq_cst) + 1;
    return mine;
}

#endif
