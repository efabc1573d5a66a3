//! Maths: exponential and logarithm by arithmetic alone. Those of the C library differ in their last
//! bit from one to the next, and in a closed loop that bit soon is another order.

use std::f64::consts::{LN_2, SQRT_2};

/// e to the power of a number below 700.
pub fn exp(x: f64) -> f64 {
    let twos = (x / LN_2).round();
    if twos < -1000.0 {
        return 0.0;
    }
    let rest = x - twos * LN_2;
    // Less than 0.35: the 14th term is below 1e-17.
    let (sum, _) = (1..14).fold((1.0, 1.0), |(sum, term), n| {
        let term = term * rest / f64::from(n);
        (sum + term, term)
    });
    sum * f64::from_bits(((1023.0 + twos) as u64) << 52)
}

/// The natural logarithm of a positive number.
pub fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut twos = f64::from((bits >> 52) as u32) - 1023.0;
    let mut rest = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if rest > SQRT_2 {
        rest /= 2.0;
        twos += 1.0;
    }
    let s = (rest - 1.0) / (rest + 1.0);
    // At most 0.172: the 12th term is below 1e-19.
    let (sum, _) = (0..12)
        .fold((0.0, s), |(sum, power), n| (sum + power / f64::from(2 * n + 1), power * s * s));
    2.0 * sum + twos * LN_2
}

#[test]
fn they_are_what_the_library_says() {
    for n in -200..200 {
        let x = f64::from(n) / 7.0;
        assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "{x}");
        let y = x.exp();
        assert!((ln(y) - x).abs() < 1e-12, "{y}");
    }
    assert_eq!((exp(0.0), ln(1.0), exp(-800.0)), (1.0, 0.0, 0.0));
}
