/* What the bitmap needs that Cython has no words for, and the hook by which a fork finds no bulk claim half done. */
#ifndef MTSID_BITMAP_H
#define MTSID_BITMAP_H

#include <stdlib.h>

#include "atomic.h"
#include "forksafe.h"

#define mtsid_lowest_bit32(bits) ((unsigned)__builtin_ctz(bits))
#define mtsid_lowest_bit64(bits) ((unsigned)__builtin_ctzll(bits))
#define mtsid_count_bits(bits) ((unsigned)__builtin_popcount(bits))

/* The lowest `count` set bits of `bits`, which has more than that many. */
static inline uint32_t mtsid_lowest_bits(uint32_t bits, unsigned count)
{
    uint32_t rest = bits;
    for (; count; count--)
        rest &= rest - 1;
    return bits ^ rest;
}

/* Zeroed memory that begins on a cache line; the system hands out large blocks lazily, so unused ids cost nothing. */
static inline void *mtsid_cache_lines(size_t bytes, void **block)
{
    *block = calloc(1, bytes + 63);
    return *block ? (void *)(((uintptr_t)*block + 63) & ~(uintptr_t)63) : NULL;
}

/* The claim word is odd while a bulk claim is half done. */
typedef struct {
    mtsid_forksafe fork; /* first, so that a pointer to one is a pointer to the other */
    mtsid_word count;
} mtsid_claim;

static inline int mtsid_claim_try(mtsid_claim *claim)
{
    uint64_t now = mtsid_load_relaxed(&claim->count);
    return !(now & 1) && mtsid_cas_seq_cst(&claim->count, now, now + 1) == now;
}

static inline void mtsid_claim_end(mtsid_claim *claim)
{
    mtsid_store_release(&claim->count, mtsid_load_relaxed(&claim->count) + 1);
}

static void mtsid_claim_take(mtsid_forksafe *lock)
{
    while (!mtsid_claim_try((mtsid_claim *)lock))
        mtsid_yield();
}

static void mtsid_claim_give(mtsid_forksafe *lock)
{
    mtsid_claim_end((mtsid_claim *)lock);
}

static inline void mtsid_claim_open(mtsid_claim *claim)
{
    mtsid_store_relaxed(&claim->count, 0);
    claim->fork.take = mtsid_claim_take;
    claim->fork.give = claim->fork.renew = mtsid_claim_give;
    mtsid_forksafe_register(&claim->fork);
}

static inline void mtsid_claim_close(mtsid_claim *claim)
{
    mtsid_forksafe_forget(&claim->fork);
}

#endif
