"""The names of `monitor.h`: what makes one operation of a queue one step. Read there what may not happen inside."""

cdef extern from "monitor.h":
    ctypedef struct Monitor "mtsid_monitor":
        pass

    void monitor_open "mtsid_monitor_open"(Monitor*) noexcept
    void monitor_close "mtsid_monitor_close"(Monitor*) noexcept
    # The caller holds the GIL, or is attached where there is none.
    void monitor_enter "mtsid_monitor_enter"(Monitor*) noexcept
    void monitor_leave "mtsid_monitor_leave"(Monitor*) noexcept
    # Says that no other thread can be inside, without entering: the last reference is going. For ThreadSanitizer alone.
    void monitor_alone "mtsid_monitor_alone"(Monitor*) noexcept
