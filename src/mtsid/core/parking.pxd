"""The names of `parking.h`: where a thread sleeps."""

from libc.stdint cimport uint32_t

cdef extern from "parking.h":
    void unpark "mtsid_unpark"(uint32_t* token) noexcept nogil
    bint park "mtsid_park"(uint32_t* token, double seconds) noexcept nogil
