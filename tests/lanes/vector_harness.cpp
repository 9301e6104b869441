// The functions of vector.h on whole vectors out of arrays of double, for test_vector_math.py.

#include "vector.h"

extern "C" int lanes() { return LANES; }
extern "C" int rate_bytes() { return sizeof(splat_rate(0).a[0]); }

// wide_NAME and rate_NAME put EXPRESSION (of x and y) into `out`, for n neurons.
#define TEST(NAME, ...) \
    extern "C" void wide_##NAME(long n, const double *xs, const double *ys, double *out) { \
        for (long i = 0; i < n; i += LANES) { \
            [[maybe_unused]] wide x = load_wide(xs + i), y = load_wide(ys + i), e, em; \
            store(out + i, (__VA_ARGS__)); \
        } \
    } \
    extern "C" void rate_##NAME(long n, const double *xs, const double *ys, double *out) { \
        for (long i = 0; i < n; i += LANES) { \
            [[maybe_unused]] rate x = narrow(load_wide(xs + i)), y = narrow(load_wide(ys + i)), e, em; \
            store(out + i, widen(__VA_ARGS__)); \
        } \
    }

TEST(exp, exp(x))
TEST(expm1, expm1(x))
TEST(exp_of_both, (exp_and_expm1(x, e, em), e))
TEST(expm1_of_both, (exp_and_expm1(x, e, em), em))
TEST(reciprocal, reciprocal(x))
TEST(refined_reciprocal, refined_reciprocal(x))

TEST(add, x + y)
TEST(subtract, x - y)
TEST(multiply, x * y)
TEST(divide, x / y)
TEST(scalars, (3 - x * 2) / 7 + 1)
TEST(compound, (e = x, e += y, e -= 3, e *= y, e /= 2, -e))
TEST(fmin, fmin(x, y))
TEST(fmax, fmax(x, 0.5))
TEST(fabs, fabs(x))
TEST(sqrt, sqrt(x))
TEST(floor, floor(x))
TEST(log, log(x))
TEST(tanh, tanh(x))
TEST(pow, pow(x, y))
TEST(pow_scalar, pow(2, x))

TEST(less, select(x < y, x, y))
TEST(not_less, select(!(x < y), 1, 2))
TEST(between, select((x >= -1) & (x <= y), x, 0))
TEST(outside, select((x > 1) | (-1 > x) | (x != y), 5, y))
TEST(equal, select(x == y, 1, x))

// (v - c) * s with rates only, v being known as a wide x
extern "C" void rate_affine(long n, const double *xs, const double *c, double *out) {
    for (long i = 0; i < n; i += LANES) {
        wide x = load_wide(xs + i);
        rate high = narrow(x), rest = narrow_rest(x, high);
        store(out + i, widen(((high - *c) + rest) * 0.25));
    }
}

// The mask of a wide used on rates, and the other way round.
extern "C" void rate_masks(long n, const double *xs, const double *, double *out) {
    for (long i = 0; i < n; i += LANES) {
        wide x = load_wide(xs + i);
        rate one = select(narrow(x > 0), splat_rate(1), 2);
        store(out + i, select(widen(one > 1.5), x, widen(one)));
    }
}
