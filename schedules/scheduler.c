/* A deterministic scheduler. Of the registered threads exactly one runs at a time; which one is decided at every
 * scheduling point, that is, before each atomic operation and each step of a monitor of the scheduled build
 * (core/atomic.h, core/monitor.h). A run follows a list of choices as far as it goes, and then goes on as it likes best:
 * the same thread as long as it can. What was chosen, and between what, is recorded for whoever explores.
 *
 * A thread that stands at a point has not done its operation yet, so what it is about to do is known. Threads are ready,
 * except one that waits for a lock that is held, one that is parked and was not unparked, and one that has just yielded
 * while another can go on. No ready thread and some not done: a deadlock; those that are parked are told so.
 *
 * Sleep sets (Godefroid, 1996). A thread whose next operation was explored before another's, and is independent of
 * whatever was done since, need not be scheduled: that run has been seen in another order. `sleep` is applied from the
 * last choice on; a run in which only sleeping threads are left is redundant.
 *
 * Everything but `mtsid_schedule_point` and its kin is called by the explorer (ctypes, without the GIL).
 */
#include <Python.h>
#include <semaphore.h>
#include <stdint.h>
#include <string.h>

enum { LOAD, STORE, UPDATE, FENCE, YIELD, LOCK, UNLOCK, PARK, UNPARK, CALL, START }; /* as in core/atomic.h */
enum { THREADS = 8, STEPS = 20000, TOKENS = 64 };
enum { RUNNING, DONE };

typedef struct {
    sem_t turn;
    int state;
    int kind; /* what it is about to do ... */
    const void *where;
    int yielded; /* ... and whether nobody else has moved since it yielded */
} schedule_thread;

static schedule_thread threads[THREADS];
static int count;
static _Thread_local int me = -1;
static sem_t finished;

static const void *held[TOKENS]; /* locks that are held */
static const void *tokens[TOKENS]; /* whom an unpark has reached that no park has used yet */

/* The list of choices, and the record of the run. */
static const unsigned char *choices;
static int given;
static unsigned given_sleep;
static int steps;
static unsigned sleeping;
static struct {
    unsigned char chosen, before, kind;
    unsigned char ready, asleep;
} record[STEPS];
static int deadlock, endless, astray, redundant;

static int find(const void **table, const void *item)
{
    for (int i = 0; i < TOKENS; i++)
        if (table[i] == item)
            return i;
    return -1;
}

static void put(const void **table, const void *item)
{
    int at = find(table, item);
    if (at < 0)
        at = find(table, NULL);
    if (at < 0)
        Py_FatalError("the scheduler's table is full");
    table[at] = item;
}

static int take(const void **table, const void *item)
{
    int at = find(table, item);
    if (at < 0)
        return 0;
    table[at] = NULL;
    return 1;
}

static int can_run(int i)
{
    schedule_thread *thread = &threads[i];
    if (thread->state == DONE)
        return 0;
    if (thread->kind == LOCK)
        return find(held, thread->where) < 0;
    if (thread->kind == PARK)
        return find(tokens, thread->where) >= 0;
    return 1;
}

static unsigned ready_threads(void)
{
    unsigned ready = 0, eager = 0;
    for (int i = 0; i < count; i++)
        if (can_run(i)) {
            ready |= 1u << i;
            if (!threads[i].yielded)
                eager |= 1u << i;
        }
    return eager ? eager : ready;
}

static int writes(int kind)
{
    return kind != LOAD;
}

/* Would the two operations have the same effect in either order? */
static int independent(int a, int b)
{
    int x = threads[a].kind, y = threads[b].kind;
    if (x == CALL || y == CALL || x == START || y == START)
        return 0; /* the order of calls is what linearizability is about */
    if (x == FENCE || y == FENCE || x == YIELD || y == YIELD)
        return 1; /* the run is sequentially consistent as it is */
    return threads[a].where != threads[b].where || !(writes(x) || writes(y));
}

/* Choose who runs next, and record it. -1: nobody can. */
static int choose(int current)
{
    unsigned ready = ready_threads();
    int next = -1;
    if (!ready)
        return -1;
    if (steps >= STEPS) {
        endless = 1;
        Py_FatalError("a run of 20,000 steps: the threads do not come to an end");
    }
    if (steps < given) {
        next = choices[steps];
        if (!(ready >> next & 1)) {
            astray = 1; /* the program is not deterministic: no conclusion is possible */
            next = -1;
        }
        if (steps == given - 1)
            sleeping = given_sleep;
    }
    if (next < 0) {
        unsigned awake = ready & ~sleeping;
        if (!awake) {
            redundant = 1;
            awake = ready;
        }
        next = current >= 0 && awake >> current & 1 ? current : __builtin_ctz(awake);
    }
    record[steps].chosen = (unsigned char)next;
    record[steps].before = (unsigned char)(current < 0 ? 255 : current);
    record[steps].ready = (unsigned char)ready;
    record[steps].asleep = (unsigned char)sleeping;
    record[steps].kind = (unsigned char)threads[next].kind;
    steps++;
    for (int i = 0; i < count; i++)
        if (sleeping >> i & 1 && (i == next || !independent(i, next)))
            sleeping &= ~(1u << i);
    return next;
}

/* What the chosen thread's operation does to the scheduler's own tables. */
static void perform(int i)
{
    schedule_thread *thread = &threads[i];
    if (thread->kind == LOCK)
        put(held, thread->where);
    else if (thread->kind == UNLOCK)
        take(held, thread->where);
    else if (thread->kind == UNPARK)
        put(tokens, thread->where);
    else if (thread->kind == PARK)
        take(tokens, thread->where);
    for (int other = 0; other < count; other++)
        if (other != i)
            threads[other].yielded = 0;
}

static void wake_next(int current)
{
    int next = choose(current);
    if (next >= 0) {
        perform(next);
        sem_post(&threads[next].turn);
        return;
    }
    for (int i = 0; i < count; i++)
        if (threads[i].state != DONE) {
            deadlock = 1;
            if (threads[i].kind != PARK)
                Py_FatalError("a deadlock of locks");
            threads[i].kind = CALL; /* let it leave its wait, by an exception */
            threads[i].where = NULL;
            wake_next(-1);
            return;
        }
    sem_post(&finished);
}

static void stand_at(int kind, const void *where)
{
    schedule_thread *thread = &threads[me];
    int next;
    thread->kind = kind;
    thread->where = where;
    thread->yielded = kind == YIELD;
    next = choose(me);
    if (next == me) {
        perform(me);
        return;
    }
    /* Whoever runs next may need the GIL. */
    PyThreadState *state = PyGILState_Check() ? PyEval_SaveThread() : NULL;
    if (next >= 0) {
        perform(next);
        sem_post(&threads[next].turn);
    } else
        wake_next(-1);
    sem_wait(&thread->turn);
    if (state)
        PyEval_RestoreThread(state);
}

/* For the scheduled build -------------------------------------------------------------------------------------------- */

/* Interference: not a second thread, but a function that is called at each point and changes the subject in one step. */
static void (*interference)(void);
static _Thread_local int interfering;

void mtsid_schedule_point(int kind, const void *where)
{
    if (me >= 0)
        stand_at(kind, where);
    else if (interference && !interfering) {
        interfering = 1;
        interference();
        interfering = 0;
    }
}

int mtsid_schedule_active(void)
{
    return me >= 0;
}

/* 0: unparked; -1: nobody is left who could. */
int mtsid_schedule_park(const void *whom)
{
    stand_at(PARK, whom);
    return threads[me].kind == PARK ? 0 : -1;
}

/* For the explorer --------------------------------------------------------------------------------------------------- */

void schedule_begin(int threads_in_run, const unsigned char *list, int length, unsigned sleep)
{
    static int once;
    if (!once) {
        once = 1;
        sem_init(&finished, 0, 0);
        for (int i = 0; i < THREADS; i++)
            sem_init(&threads[i].turn, 0, 0);
    }
    count = threads_in_run;
    choices = list;
    given = length;
    given_sleep = sleep;
    steps = deadlock = endless = astray = redundant = 0;
    sleeping = 0;
    memset(held, 0, sizeof held);
    memset(tokens, 0, sizeof tokens);
    for (int i = 0; i < count; i++) {
        threads[i].state = RUNNING;
        threads[i].kind = START;
        threads[i].where = NULL;
        threads[i].yielded = 0;
    }
}

/* A worker's: stand at the start until chosen. */
void schedule_enter(int i)
{
    me = i;
    sem_wait(&threads[i].turn);
}

void schedule_leave(void)
{
    int current = me;
    threads[current].state = DONE;
    me = -1;
    wake_next(-1);
}

/* The explorer's: let them run, and wait for all of them. */
void schedule_run(void)
{
    wake_next(-1);
    sem_wait(&finished);
}

/* NULL: none. Called in the thread that stands at the point, with the GIL if that holds it. */
void schedule_interfere(void (*callback)(void)) { interference = callback; }

int schedule_steps(void) { return steps; }
int schedule_step_size(void) { return (int)sizeof record[0]; }
const void *schedule_record(void) { return record; }
int schedule_outcome(void) { return deadlock | astray << 1 | redundant << 2; }
