/* Put before a module of the stress tests (gcc -include): every memory order there becomes "relaxed", so that nothing is
 * handed from one owner of an id to the next. ThreadSanitizer must see that. */
#include <stdatomic.h>
#define memory_order_acquire memory_order_relaxed
#define memory_order_release memory_order_relaxed
#define memory_order_seq_cst memory_order_relaxed
