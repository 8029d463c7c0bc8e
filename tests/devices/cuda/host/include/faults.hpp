// What a kernel did wrong, told once: the launch ends there.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

enum Kind { NONE = 0, BOUNDS = 1, RACE = 2, UNINITIALISED = 3, DIVERGED = 4 };

struct Dim {
    unsigned x = 0, y = 0, z = 0;
};

#ifdef HOST_THREADS
#include <mutex>

static std::mutex telling;  // taken by the thread that tells, and never given back
static thread_local Dim threadIdx;
#else
static Dim threadIdx;
#endif
static Dim blockIdx, blockDim, gridDim;

static char message[512];
#ifndef HOST_THREADS
static jmp_buf escape;  // to the launch, from whichever thread's stack
#endif

[[noreturn]] static void fail(Kind kind, const char* format, ...) {
#ifdef HOST_THREADS
    telling.lock();
#endif
    int used = snprintf(message, sizeof message, "block (%u, %u, %u), thread %u: ", blockIdx.x,
                        blockIdx.y, blockIdx.z, threadIdx.x);
    va_list values;
    va_start(values, format);
    vsnprintf(message + used, sizeof message - used, format, values);
    va_end(values);
#ifdef HOST_THREADS
    fprintf(stderr, "FAULT %d %s\n", kind, message);
    fflush(stderr);
    std::_Exit(3);
#else
    _longjmp(escape, kind);
#endif
}
