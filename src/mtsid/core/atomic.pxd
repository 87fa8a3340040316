"""The names of `atomic.h`, the only door to C11 atomics: the memory order is in each name."""

from libc.stdint cimport uint64_t


cdef extern from "atomic.h" nogil:
    ctypedef struct word "mtsid_word":
        pass

    uint64_t load_relaxed "mtsid_load_relaxed"(word*) noexcept
    uint64_t load_acquire "mtsid_load_acquire"(word*) noexcept
    uint64_t load_seq_cst "mtsid_load_seq_cst"(word*) noexcept
    void store_relaxed "mtsid_store_relaxed"(word*, uint64_t) noexcept
    void store_release "mtsid_store_release"(word*, uint64_t) noexcept
    # Returns what it found: the exchange took place if that equals `expected`.
    uint64_t cas_seq_cst "mtsid_cas_seq_cst"(word*, uint64_t expected, uint64_t desired) noexcept
    # These three return what stood there before.
    uint64_t add_seq_cst "mtsid_add_seq_cst"(word*, uint64_t amount) noexcept
    uint64_t or_seq_cst "mtsid_or_seq_cst"(word*, uint64_t bits) noexcept
    uint64_t and_seq_cst "mtsid_and_seq_cst"(word*, uint64_t bits) noexcept
    void fence_seq_cst "mtsid_fence_seq_cst"() noexcept
    void thread_yield "mtsid_yield"() noexcept
    # Of the scheduled build; in any other, `scheduled` is false and the compiler leaves out what stands behind it.
    bint scheduled "mtsid_schedule_active"() noexcept
    int schedule_park "mtsid_schedule_park"(void* whom) noexcept       # -1: nobody is left to unpark it
    void schedule_unpark "mtsid_schedule_unpark"(void* whom) noexcept
    uint64_t thread_number "mtsid_thread_number"() noexcept
