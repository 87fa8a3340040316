"""Marks for valgrind's callgrind: from where it counts, and what a count is called. Without valgrind: nothing."""

cdef extern from *:
    """
    #include <valgrind/callgrind.h>
    static inline void zero_counts(void) { CALLGRIND_ZERO_STATS; }
    static inline void dump_counts(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
    """
    void zero_counts()
    void dump_counts(const char* name)


def zero():
    """Count from here."""
    zero_counts()


def dump(bytes name not None):
    """Write down the count under that name, and count on from zero."""
    dump_counts(name)
