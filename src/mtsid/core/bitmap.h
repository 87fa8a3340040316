/* What the bitmap needs that Cython has no words for. */
#ifndef MTSID_BITMAP_H
#define MTSID_BITMAP_H

#include <stdlib.h>

#include "atomic.h"

/* Where the counters begin. In the scheduled build near their wrap, so that every search of it goes past that. */
#ifdef MTSID_SCHEDULED
#define MTSID_FIRST_VERSION UINT64_C(0xFFFFFFFE)
#define MTSID_FIRST_CLAIM (UINT64_MAX - 1)
#else
#define MTSID_FIRST_VERSION UINT64_C(0)
#define MTSID_FIRST_CLAIM UINT64_C(0)
#endif

/* For the compiler: keep what stands behind it out of the way of the rest. */
#define mtsid_seldom(condition) __builtin_expect(!!(condition), 0)

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

/* The claim word is odd while a bulk claim is half done. Only a thread that is attached to Python makes one, without a
 * Python call in it, so a fork never finds it odd. */
static inline int mtsid_claim_try(mtsid_word *claim)
{
    uint64_t now = mtsid_load_relaxed(claim);
    return !(now & 1) && mtsid_cas_seq_cst(claim, now, now + 1) == now;
}

static inline void mtsid_claim_end(mtsid_word *claim)
{
    mtsid_store_release(claim, mtsid_load_relaxed(claim) + 1);
}

#endif
