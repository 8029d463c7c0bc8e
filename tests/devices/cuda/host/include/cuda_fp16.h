// CUDA's half for the host: 16 bits that can be converted, and no arithmetic, for that is A's.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

template <class T> struct Element;

struct half {
    uint16_t bits;

    half() = default;
    template <class U> explicit half(const Element<U>& element);
    template <class U, std::enable_if_t<std::is_arithmetic_v<U>, int> = 0>
    half(U value) : bits(rounded((double)value)) {}

    operator float() const {
        uint32_t sign = (uint32_t)(bits >> 15) << 31, exponent = bits >> 10 & 31, digits = bits & 1023;
        if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)digits * 0x1p-24f;
        uint32_t wide = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | digits << 13;
        float value;
        std::memcpy(&value, &wide, sizeof value);
        return value;
    }

    // To the nearest, of two equally near ones to the even one. The carry out of the digits is
    // right as it is: it makes the next exponent, the largest subnormal's the first normal number.
    static uint16_t rounded(double value) {
        uint16_t sign = __builtin_signbit(value) ? 0x8000 : 0;
        double size = __builtin_fabs(value);
        if (__builtin_isnan(value)) return sign | 0x7e00;
        if (size >= 65520.0) return sign | 0x7c00;
        if (size < 0x1p-14) return sign | (uint16_t)__builtin_nearbyint(size * 0x1p24);
        int exponent;
        double digits = __builtin_frexp(size, &exponent);
        return sign | (uint16_t)(((exponent + 14) << 10) + (int)__builtin_nearbyint(digits * 2048) - 1024);
    }
};

// On a GPU these round to half after each operation; here they would not.
half operator+(half, half) = delete;
half operator-(half, half) = delete;
half operator*(half, half) = delete;
half operator/(half, half) = delete;
