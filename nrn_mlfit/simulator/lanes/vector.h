/* Arithmetic for many neurons at once, one neuron per SIMD lane.

The generated simulators are written in `wide` (always double: voltages, the tree) and `rate` (channel kinetics: double,
or float with -DMIXED). Only compiler vector extensions are used, so that the same code runs on AVX-512, AVX2, SSE and
ARM. No lane ever looks at another one: a neuron gives the same bits in whichever lane, beside whichever neighbours.

Compile with -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math, but without -ffast-math: a NaN has to stay one,
since it tells that a neuron blew up. */

#ifndef NRN_MLFIT_VECTOR_H
#define NRN_MLFIT_VECTOR_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#ifndef LANE_BYTES
#if defined(__AVX512F__)
#define LANE_BYTES 64
#elif defined(__AVX2__)
#define LANE_BYTES 32
#else
#define LANE_BYTES 16
#endif
#endif

#define INLINE static inline __attribute__((always_inline))

// ---- Types ----

typedef double f64 __attribute__((vector_size(LANE_BYTES)));   // a register of doubles
typedef float f32 __attribute__((vector_size(LANE_BYTES)));    // a register of floats
typedef int64_t i64 __attribute__((vector_size(LANE_BYTES)));  // the bits of an f64; compared f64s: 0 or -1
typedef int32_t i32 __attribute__((vector_size(LANE_BYTES)));  // the bits of an f32; compared f32s: 0 or -1

// Two registers of doubles: two chains of dependent instructions overlap, and an f32 has as many lanes as a wide.
struct wide { f64 a, b; };
struct mask { i64 a, b; };  // a truth value for each lane of a wide

constexpr int LANES = sizeof(wide) / sizeof(double);  // neurons side by side

#ifdef MIXED
struct rate { f32 a; };       // a register of floats
struct rate_mask { i32 a; };  // a truth value for each lane of a rate
#define FOR_RATE(...) __VA_ARGS__
#else
typedef wide rate;       // in double precision both are the same, and what follows for rate would be a redefinition
typedef mask rate_mask;
#define FOR_RATE(...)
#endif

template <class T> using if_lanes = std::enable_if_t<std::is_same_v<T, wide> || std::is_same_v<T, rate>>;
template <class V> using bits_of = std::conditional_t<std::is_same_v<V, f64>, i64, i32>;

// ---- The same number in all lanes; from and to memory ----

// x - 0 is x also for -0, which x + 0 is not: the compiler makes a plain broadcast of it.
INLINE wide splat_wide(double x) { return {x - f64{}, x - f64{}}; }
#ifdef MIXED
INLINE rate splat_rate(double x) { return {float(x) - f32{}}; }
#else
INLINE rate splat_rate(double x) { return splat_wide(x); }
#endif

template <class T, class = if_lanes<T>> INLINE T splat(double x) {
    if constexpr (std::is_same_v<T, wide>) return splat_wide(x);
    else return splat_rate(x);
}
template <class T> INLINE T splat(T x) { return x; }

// LANES doubles at any address; an array of wide, which is aligned, can be used without these.
INLINE wide load_wide(const double *from) {
    wide x;
    memcpy(&x, from, sizeof x);
    return x;
}
INLINE void store(double *to, wide x) { memcpy(to, &x, sizeof x); }

// ---- Operators ----

#define ARITHMETIC(OP) \
    INLINE wide operator OP(wide x, wide y) { return {x.a OP y.a, x.b OP y.b}; } \
    FOR_RATE(INLINE rate operator OP(rate x, rate y) { return {x.a OP y.a}; }) \
    template <class T, class = if_lanes<T>> INLINE T operator OP(T x, double y) { return x OP splat<T>(y); } \
    template <class T, class = if_lanes<T>> INLINE T operator OP(double x, T y) { return splat<T>(x) OP y; } \
    template <class T, class = if_lanes<T>> INLINE T &operator OP##=(T &x, T y) { return x = x OP y; } \
    template <class T, class = if_lanes<T>> INLINE T &operator OP##=(T &x, double y) { return x = x OP y; }
ARITHMETIC(+)
ARITHMETIC(-)
ARITHMETIC(*)
ARITHMETIC(/)

INLINE wide operator-(wide x) { return {-x.a, -x.b}; }
FOR_RATE(INLINE rate operator-(rate x) { return {-x.a}; })

#define COMPARISON(OP) \
    INLINE mask operator OP(wide x, wide y) { return {x.a OP y.a, x.b OP y.b}; } \
    FOR_RATE(INLINE rate_mask operator OP(rate x, rate y) { return {x.a OP y.a}; }) \
    template <class T, class = if_lanes<T>> INLINE auto operator OP(T x, double y) { return x OP splat<T>(y); } \
    template <class T, class = if_lanes<T>> INLINE auto operator OP(double x, T y) { return splat<T>(x) OP y; }
COMPARISON(<)
COMPARISON(<=)
COMPARISON(>)
COMPARISON(>=)
COMPARISON(==)
COMPARISON(!=)

INLINE mask operator&(mask x, mask y) { return {x.a & y.a, x.b & y.b}; }
INLINE mask operator|(mask x, mask y) { return {x.a | y.a, x.b | y.b}; }
INLINE mask operator!(mask x) { return {~x.a, ~x.b}; }
FOR_RATE(INLINE rate_mask operator&(rate_mask x, rate_mask y) { return {x.a & y.a}; })
FOR_RATE(INLINE rate_mask operator|(rate_mask x, rate_mask y) { return {x.a | y.a}; })
FOR_RATE(INLINE rate_mask operator!(rate_mask x) { return {~x.a}; })

// x where the mask is true, y elsewhere.
INLINE wide select(mask m, wide x, wide y) { return {m.a ? x.a : y.a, m.b ? x.b : y.b}; }
FOR_RATE(INLINE rate select(rate_mask m, rate x, rate y) { return {m.a ? x.a : y.a}; })
template <class M, class X, class Y> INLINE auto select(M m, X x, Y y) {  // one of them, or both, a scalar
    using T = std::conditional_t<std::is_same_v<M, mask>, wide, rate>;
    return select(m, splat<T>(x), splat<T>(y));
}

// ---- Between the precisions ----

#ifdef MIXED
#if LANE_BYTES == 64
#define FIRST_HALF 0, 1, 2, 3, 4, 5, 6, 7
#define SECOND_HALF 8, 9, 10, 11, 12, 13, 14, 15
#elif LANE_BYTES == 32
#define FIRST_HALF 0, 1, 2, 3
#define SECOND_HALF 4, 5, 6, 7
#else
#define FIRST_HALF 0, 1
#define SECOND_HALF 2, 3
#endif
typedef float half_f32 __attribute__((vector_size(LANE_BYTES / 2)));
typedef int32_t half_i32 __attribute__((vector_size(LANE_BYTES / 2)));

#define JOINED(HALF, x) \
    __builtin_shufflevector(__builtin_convertvector(x.a, HALF), __builtin_convertvector(x.b, HALF), \
                            FIRST_HALF, SECOND_HALF)
#define HALVES(FULL, x) \
    {__builtin_convertvector(__builtin_shufflevector(x.a, x.a, FIRST_HALF), FULL), \
     __builtin_convertvector(__builtin_shufflevector(x.a, x.a, SECOND_HALF), FULL)}

INLINE rate narrow(wide x) { return {JOINED(half_f32, x)}; }
INLINE rate_mask narrow(mask x) { return {JOINED(half_i32, x)}; }
INLINE wide widen(rate x) { return HALVES(f64, x); }
INLINE mask widen(rate_mask x) { return HALVES(i64, x); }

// What narrow(x), given as `high`, has left over of x: (high - c) + rest keeps the bits that a float of x alone loses.
INLINE rate narrow_rest(wide x, rate high) { return narrow(x - widen(high)); }
#else
template <class T> INLINE T narrow(T x) { return x; }
template <class T> INLINE T widen(T x) { return x; }
INLINE rate narrow_rest(wide, rate) { return splat_wide(0); }
#endif

// ---- exp and expm1 of a register ----

/* exp(x) = 2^n exp(f) with n = round(x / ln 2), |f| <= ln(2)/2, and exp(f) - 1 = f + f^2 (1/2 + c3 f + c4 f^2 + ...).
c3, c4, ... minimise the largest relative error of exp(f) - 1 on that interval; they are from the Remez algorithm in
60 digits (mpmath), then rounded: degree 11 and error 2.4e-17 for double, degree 6 and error 1.5e-8 for float.

ln 2 is taken off in two parts (Cody and Waite 1980, Software Manual for the Elementary Functions); `ln2_high` has so
many zeros at its end that n * ln2_high is exact, with or without fused multiply-add.

Adding `round` leaves n in the lowest bits of the sum; the exponent's bias is part of it, so that a shift gives 2^n. */
template <class V> struct constants;
template <> struct constants<f64> {
    static constexpr double limit = 700, inverse_ln2 = 0x1.71547652b82fep+0, round = 0x1.8p52 + 1023,
                            ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;
    static constexpr int mantissa = 52;
};
template <> struct constants<f32> {
    static constexpr float limit = 80, inverse_ln2 = 0x1.715476p+0f, round = 0x1.8p23f + 127,
                           ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    static constexpr int mantissa = 23;
};

// exp(f) - 1. By pairs (Estrin's scheme), which is one multiplication more than Horner's, but half its latency.
INLINE f64 fraction(f64 f) {
    f64 f2 = f * f, f4 = f2 * f2;
    f64 c23 = 0.5 + 0x1.555555555553ep-3 * f;
    f64 c45 = 0x1.5555555553b15p-5 + 0x1.1111111118cf4p-7 * f;
    f64 c67 = 0x1.6c16c179fbb37p-10 + 0x1.a01a0171b4526p-13 * f;
    f64 c89 = 0x1.a019b3a82208bp-16 + 0x1.71de976ba5d8cp-19 * f;
    f64 c1011 = 0x1.2897590735b5ep-22 + 0x1.ae4904aa32306p-26 * f;
    return f + f2 * ((c23 + c45 * f2) + ((c67 + c89 * f2) + c1011 * f4) * f4);
}
INLINE f32 fraction(f32 f) {
    f32 f2 = f * f;
    f32 c23 = 0.5f + 0x1.5554b6p-3f * f;
    f32 c45 = 0x1.5555bap-5f + 0x1.122382p-7f * f;
    return f + f2 * (c23 + (c45 + 0x1.6c5542p-10f * f2) * f2);
}

// exp(x) = power * less_one + power, exp(x) - 1 = power * less_one + (power - 1)
template <class V> struct split { V power, less_one; };
template <class V> INLINE split<V> split_exp(V x) {
    using C = constants<V>;
    // In double NEURON's bounds (hoc_Exp); in float they leave a factor of 6e3 for what an exponential is multiplied by:
    // beyond, the quotient of two rates would be NaN. In this order a NaN passes: a comparison with it is false.
    V high = C::limit - V{}, low = -C::limit - V{};
#ifdef __x86_64__
    asm("" : "+v"(high), "+v"(low));  // GCC 12 uses the minimum instruction for bounds that it does not know only
#endif
    x = high < x ? high : x;
    x = x < low ? low : x;
    V shifted = x * C::inverse_ln2 + C::round;
    V n = shifted - C::round;
    V f = (x - n * C::ln2_high) - n * C::ln2_low;
    return {(V)((bits_of<V>)shifted << C::mantissa), fraction(f)};
}

template <class V> INLINE V exp_part(V x) {
    split<V> s = split_exp(x);
    return s.power * s.less_one + s.power;
}
template <class V> INLINE V expm1_part(V x, split<V> s) {
    // It has the sign of x. That needs saying for -0 only, of which the sums above make +0.
    const bits_of<V> sign = (bits_of<V>)(-V{});
    return (V)((bits_of<V>)(s.power * s.less_one + (s.power - 1)) | ((bits_of<V>)x & sign));
}
template <class V> INLINE V expm1_part(V x) { return expm1_part(x, split_exp(x)); }
template <class V> INLINE void exp_and_expm1_part(V x, V &e, V &em) {
    split<V> s = split_exp(x);
    e = s.power * s.less_one + s.power;
    em = expm1_part(x, s);
}

// ---- Reciprocal of a register ----

/* A constant minus the bits of x is a number y with x * y nearly constant, since the bits of a number are roughly its
logarithm. With the mantissa sqrt(2) - 1 in the constant, t = x * y stays between 2 * 1.4142 and 2 * 1.4571 for every x.
A minimax polynomial of 1/t (Remez, as above; relative error 8.3e-7 with degree 2, 1.1e-4 with degree 1) times y is 1/x
but for a relative error h, which is then measured and removed: 1/x = y / (1 - h) = y (1 + h + h^2 + ...).

The constant's exponent is the highest there is, so that y is NaN where x is 0 or subnormal: no plausible number comes
of dividing by nothing. An infinite x gives an infinity or NaN. The result is good for |x| in 2^-1022 .. 2^1022, and
2^-126 .. 2^126 for float. */
INLINE f64 refined_reciprocal_part(f64 x) {
    typedef uint64_t u64 __attribute__((vector_size(LANE_BYTES)));  // wraps around, for negative x
    f64 y = (f64)(0x7ff6a09e667f3bcd - (u64)x);
    f64 t = x * y;
    y *= 0x1.0b80ab88f1396p+0 + t * (-0x1.74ace06b0fd31p-2 + t * 0x1.5a1ce2290a658p-5);
    f64 h = 1 - x * y;
    return y + y * (h + h * h);
}
INLINE f32 refined_reciprocal_part(f32 x) {
    typedef uint32_t u32 __attribute__((vector_size(LANE_BYTES)));
    f32 y = (f32)(0x7fb504f3 - (u32)x);
    y *= 0x1.64ab90p-1f + (x * y) * -0x1.f0df68p-4f;
    f32 h = 1 - x * y;
    return y + y * h;
}

/* On AMD's Zen 5 the divider works beside the multipliers, which exp keeps busy: 1 / (1 + exp(x)) took 0.37 ns a lane
with the division and 0.51 with the refinement, which has more than twice the latency, too (AVX-512, double; likewise
AVX2 and float). REFINED_RECIPROCAL is there for processors with a slow divider. */
template <class V> INLINE V reciprocal_part(V x) {
#ifdef REFINED_RECIPROCAL
    return refined_reciprocal_part(x);
#else
    return 1 / x;
#endif
}

// ---- Functions ----

// Loops over a register's lanes: the compiler makes one instruction of each.
template <class V> INLINE V sqrt_part(V x) {
    for (unsigned i = 0; i < sizeof x / sizeof x[0]; i++) x[i] = std::sqrt(x[i]);
    return x;
}
template <class V> INLINE V floor_part(V x) {
    for (unsigned i = 0; i < sizeof x / sizeof x[0]; i++) x[i] = std::floor(x[i]);
    return x;
}
template <class V> INLINE V fabs_part(V x) { return (V)((bits_of<V>)x & ~(bits_of<V>)(-V{})); }

#define BY_PART(NAME) \
    INLINE wide NAME(wide x) { return {NAME##_part(x.a), NAME##_part(x.b)}; } \
    FOR_RATE(INLINE rate NAME(rate x) { return {NAME##_part(x.a)}; })
BY_PART(exp)
BY_PART(expm1)
BY_PART(reciprocal)
BY_PART(refined_reciprocal)
BY_PART(fabs)
BY_PART(sqrt)
BY_PART(floor)

INLINE void exp_and_expm1(wide x, wide &e, wide &em) {
    exp_and_expm1_part(x.a, e.a, em.a);
    exp_and_expm1_part(x.b, e.b, em.b);
}
FOR_RATE(INLINE void exp_and_expm1(rate x, rate &e, rate &em) { exp_and_expm1_part(x.a, e.a, em.a); })

// Unlike C's, these give NaN if either argument is one.
template <class T, class = if_lanes<T>> INLINE T fmin(T x, T y) { return select((x < y) | (x != x), x, y); }
template <class T, class = if_lanes<T>> INLINE T fmax(T x, T y) { return select((x > y) | (x != x), x, y); }

// The C library's function lane by lane, in double. It is slow; these are for what is seldom called.
template <class T, class F, class... More> INLINE T each(F function, T x, More... more) {
    using E = std::remove_reference_t<decltype(x.a[0])>;
    E from[1 + sizeof...(More)][LANES], to[LANES];
    const T all[] = {x, more...};
    memcpy(from, all, sizeof from);
    for (int i = 0; i < LANES; i++) {
        if constexpr (sizeof...(More)) to[i] = function(from[0][i], from[1][i]);
        else to[i] = function(from[0][i]);
    }
    memcpy(&x, to, sizeof x);
    return x;
}

#define BY_LANE(NAME) \
    template <class T, class = if_lanes<T>> INLINE T NAME(T x) { \
        return each([](double lane) { return std::NAME(lane); }, x); \
    }
BY_LANE(log) BY_LANE(log10) BY_LANE(ceil)
BY_LANE(sin) BY_LANE(cos) BY_LANE(tan) BY_LANE(asin) BY_LANE(acos) BY_LANE(atan)
BY_LANE(sinh) BY_LANE(cosh) BY_LANE(tanh)

#define BY_TWO_LANES(NAME) \
    template <class T, class = if_lanes<T>> INLINE T NAME(T x, T y) { \
        return each([](double x, double y) { return std::NAME(x, y); }, x, y); \
    }
BY_TWO_LANES(pow)
BY_TWO_LANES(fmod)

// With a scalar as the first or second argument.
#define WITH_SCALAR(NAME) \
    template <class T, class = if_lanes<T>> INLINE T NAME(T x, double y) { return NAME(x, splat<T>(y)); } \
    template <class T, class = if_lanes<T>> INLINE T NAME(double x, T y) { return NAME(splat<T>(x), y); }
WITH_SCALAR(fmin)
WITH_SCALAR(fmax)
WITH_SCALAR(pow)
WITH_SCALAR(fmod)

#endif
