/* Another day for a process: real time plus CLOCK_OFFSET seconds, and those in CLOCK_FILE, a binary long that may be
   written at any time. Monotonic clocks, and so waits, stay real.

Preloaded. libfaketime is not used, since its 0.9.10 breaks the sleep of Python 3.11. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long at_begin;
static const volatile long *leaps;

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("CLOCK_OFFSET"), *path = getenv("CLOCK_FILE");
    at_begin = seconds ? atol(seconds) : 0;
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) leaps = mapped;
    close(file);
}

static long offset(void) { return at_begin + (leaps ? *leaps : 0); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real ? real(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec at;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &at);
    *now = (struct timeval){at.tv_sec, at.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *now) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (now) *now = at.tv_sec;
    return at.tv_sec;
}

int timespec_get(struct timespec *now, int base) { return clock_gettime(CLOCK_REALTIME, now) ? 0 : base; }

/* Who waits until a time of day got it from above: the kernel is given the real one. A monotonic clock counts from
   the machine's start, and is nowhere near it. */
static struct timespec real_time(const struct timespec *at) {
    int is_date = at->tv_sec > 30L * 365 * 24 * 3600;
    return (struct timespec){at->tv_sec - (is_date ? offset() : 0), at->tv_nsec};
}

#define WAIT(name, version, parameters, arguments)                             \
    int name parameters {                                                      \
        static int(*real) parameters;                                          \
        if (!real) real = dlvsym(RTLD_NEXT, #name, version);                   \
        if (!real) real = dlsym(RTLD_NEXT, #name);                             \
        struct timespec until = real_time(at);                                 \
        at = &until;                                                           \
        return real arguments;                                                 \
    }
#define AT const struct timespec *restrict at
WAIT(sem_timedwait, "GLIBC_2.34", (sem_t *restrict s, AT), (s, at))
WAIT(sem_clockwait, "GLIBC_2.34", (sem_t *restrict s, clockid_t k, AT), (s, k, at))
WAIT(pthread_mutex_timedlock, "GLIBC_2.34", (pthread_mutex_t *restrict m, AT), (m, at))
WAIT(pthread_cond_timedwait, "GLIBC_2.3.2", (pthread_cond_t *restrict c, pthread_mutex_t *restrict m, AT), (c, m, at))
WAIT(pthread_cond_clockwait, "GLIBC_2.34",
     (pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t k, AT), (c, m, k, at))
