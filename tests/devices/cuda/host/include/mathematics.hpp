// Functions of CUDA C++: the C library's by name, for to include <cmath> takes as long to compile
// as all the rest.
#pragma once

#define OF_ONE(name)                                       \
    extern "C" double name(double) noexcept;               \
    extern "C" float name##f(float) noexcept;              \
    static inline float name(float x) { return name##f(x); }
#define OF_TWO(name)                                              \
    extern "C" double name(double, double) noexcept;              \
    extern "C" float name##f(float, float) noexcept;              \
    static inline float name(float x, float y) { return name##f(x, y); }
OF_ONE(exp) OF_ONE(exp2) OF_ONE(expm1) OF_ONE(log) OF_ONE(log2) OF_ONE(log1p)
OF_ONE(sqrt) OF_ONE(sin) OF_ONE(cos) OF_ONE(tanh) OF_ONE(erf)
OF_ONE(fabs) OF_ONE(floor) OF_ONE(ceil) OF_ONE(trunc) OF_ONE(rint) OF_ONE(round)
OF_TWO(pow) OF_TWO(fmin) OF_TWO(fmax) OF_TWO(fmod)
#undef OF_ONE
#undef OF_TWO

#define OF_FLOATING(type)                                                     \
    static inline bool isnan(type x) { return __builtin_isnan(x); }           \
    static inline bool isinf(type x) { return __builtin_isinf(x); }           \
    static inline bool isfinite(type x) { return __builtin_isfinite(x); }     \
    /* As on a GPU, a NaN gives way to a number. */                           \
    static inline type min(type a, type b) { return fmin(a, b); }             \
    static inline type max(type a, type b) { return fmax(a, b); }             \
    static inline type rsqrt(type x) { return 1 / sqrt(x); }
OF_FLOATING(float)
OF_FLOATING(double)
#undef OF_FLOATING
static inline float rsqrtf(float x) { return rsqrt(x); }

#define OF_WHOLE(type)                                               \
    static inline type min(type a, type b) { return b < a ? b : a; } \
    static inline type max(type a, type b) { return a < b ? b : a; }
OF_WHOLE(int)
OF_WHOLE(unsigned)
OF_WHOLE(long long)
OF_WHOLE(unsigned long long)
#undef OF_WHOLE

// Rounded one by one: a compiler may not make a fused operation of these.
#define ROUNDED(type, letter)                                               \
    static inline type __##letter##add_rn(type a, type b) { return a + b; } \
    static inline type __##letter##sub_rn(type a, type b) { return a - b; } \
    static inline type __##letter##mul_rn(type a, type b) { return a * b; } \
    static inline type __##letter##div_rn(type a, type b) { return a / b; } \
    static inline type __##letter##sqrt_rn(type a) { return sqrt(a); }
ROUNDED(float, f)
ROUNDED(double, d)
#undef ROUNDED
