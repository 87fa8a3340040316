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

typedef struct { _Atomic(uint64_t) value; } mtsid_word;

static inline uint64_t mtsid_load_relaxed(mtsid_word *word)
{
    return atomic_load_explicit(&word->value, memory_order_relaxed);
}

static inline uint64_t mtsid_load_acquire(mtsid_word *word)
{
    return atomic_load_explicit(&word->value, memory_order_acquire);
}

static inline uint64_t mtsid_load_seq_cst(mtsid_word *word)
{
    return atomic_load_explicit(&word->value, memory_order_seq_cst);
}

static inline void mtsid_store_relaxed(mtsid_word *word, uint64_t value)
{
    atomic_store_explicit(&word->value, value, memory_order_relaxed);
}

static inline void mtsid_store_release(mtsid_word *word, uint64_t value)
{
    atomic_store_explicit(&word->value, value, memory_order_release);
}

static inline uint64_t mtsid_cas_seq_cst(mtsid_word *word, uint64_t expected, uint64_t desired)
{
    atomic_compare_exchange_strong_explicit(&word->value, &expected, desired, memory_order_seq_cst,
                                            memory_order_acquire);
    return expected;
}

static inline uint64_t mtsid_add_seq_cst(mtsid_word *word, uint64_t amount)
{
    return atomic_fetch_add_explicit(&word->value, amount, memory_order_seq_cst);
}

static inline uint64_t mtsid_or_seq_cst(mtsid_word *word, uint64_t bits)
{
    return atomic_fetch_or_explicit(&word->value, bits, memory_order_seq_cst);
}

static inline uint64_t mtsid_and_seq_cst(mtsid_word *word, uint64_t bits)
{
    return atomic_fetch_and_explicit(&word->value, bits, memory_order_seq_cst);
}

static inline void mtsid_fence_seq_cst(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* Let another thread run: for the one who waits for a claim that a peer has half done. */
static inline void mtsid_yield(void)
{
    sched_yield();
}

/* A small number for the calling thread, the same for its life. Threads are numbered in the order of their first call,
 * so that a few threads get different numbers modulo a small power of two. */
static inline uint64_t mtsid_thread_number(void)
{
    static mtsid_word threads;
    static _Thread_local uint64_t mine;
    if (!mine)
        mine = mtsid_add_seq_cst(&threads, 1) + 1;
    return mine;
}

#endif
