// What a kernel's source is compiled against, and how its arguments arrive.
#pragma once

#include "blocks.hpp"
#include "mathematics.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __syncthreads() barrier(__LINE__)

// As ctypes and the files of the sanitized programs have it.
struct Argument {
    const char* name;
    char* data;         // the array's memory, or the scalar's bytes
    uintptr_t address;  // of that memory at the caller's
    long long count;    // elements of an array, -1 of a null pointer
    long long itemsize;
};

// Makes the arrays that the kernel, or its tables' pointers, can reach. Those that are the same
// memory share their touches: in place, one may not read what another thread writes.
static void know(const Argument* arguments, int count) {
    memories = new Memory[count];
    memory_count = count;
    for (int i = 0; i < count; i++) {
        const Argument& a = arguments[i];
        Memory& m = memories[i];
        m = {a.name, a.data, a.address, a.count, a.count * a.itemsize, nullptr, nullptr, false};
#ifndef HOST_THREADS
        for (Memory* before = memories; before != &m && !m.touches; before++) {
            bool same = before->count == m.count && before->bytes == m.bytes;
            if (same && before->data == m.data) m.touches = before->touches;
        }
        if (!m.touches && m.count > 0) m.touches = (Touches*)calloc(m.count, sizeof(Touches));
#endif
    }
}

static void forget() {
    for (int i = 0; i < memory_count; i++) {
        bool shared = false;
        for (int j = 0; j < i; j++) shared |= memories[j].touches == memories[i].touches;
        if (!shared) free(memories[i].touches);
    }
    delete[] memories;
}

template <class T> static Pointer<T> array(int index) {
    const Memory& memory = memories[index];
    return {(T*)memory.data, 0, &memory};
}

template <class T> static T scalar(const Argument& argument) {
    T value;
    std::memcpy(&value, argument.data, sizeof value);
    return value;
}

#ifdef HOST_THREADS
extern "C" int launch(const unsigned* grid, unsigned block, Argument* arguments, int count);
#include "program.hpp"
#endif
