//! Random numbers: xoshiro256++, seeded by SplitMix64. The same seed gives the same run on any
//! machine, and no dependency can change it.

use super::maths::{exp, ln};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream of that name, of one seed; streams of other names are independent of it.
    pub fn new(name: &str, seed: u64, stream: u64) -> Self {
        // FNV-1a of the name.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut x = hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.rotate_left(32);
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c2, d2) = (c ^ a, d ^ b);
        self.state = [a ^ d2, b ^ c2, c2 ^ (b << 17), d2.rotate_left(45)];
        result
    }

    /// Between 0, included, and 1, excluded.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between two numbers.
    pub fn between(&mut self, (least, most): (f64, f64)) -> f64 {
        least + (most - least) * self.unit()
    }

    /// Between two positive numbers, each factor of two as likely as any other.
    pub fn between_logs(&mut self, (least, most): (f64, f64)) -> f64 {
        exp(self.between((ln(least), ln(most))))
    }

    /// Normal, mean 0, deviation 1; by the polar method.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (self.between((-1.0, 1.0)), self.between((-1.0, 1.0)));
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                return x * (-2.0 * ln(square) / square).sqrt();
            }
        }
    }

    /// Exponential, of that mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * ln(1.0 - self.unit())
    }

    /// Poisson, of that mean; by products, so for means of some tens at most.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let end = exp(-mean);
        let (mut count, mut product) = (0, self.unit());
        while product > end {
            count += 1;
            product *= self.unit();
        }
        count
    }
}

#[test]
fn the_distributions_have_the_means_that_they_are_asked_for() {
    let mut rng = Rng::new("distributions", 1, 1);
    let mut mean = |draw: &mut dyn FnMut(&mut Rng) -> f64| {
        (0..20_000).map(|_| draw(&mut rng)).sum::<f64>() / 20_000.0
    };
    assert!((mean(&mut |rng| rng.between((2.0, 4.0))) - 3.0).abs() < 0.02);
    assert!(mean(&mut Rng::normal).abs() < 0.03);
    assert!((mean(&mut |rng| rng.normal().powi(2)) - 1.0).abs() < 0.05);
    assert!((mean(&mut |rng| rng.exponential(5.0)) - 5.0).abs() < 0.15);
    assert!((mean(&mut |rng| f64::from(rng.poisson(2.4))) - 2.4).abs() < 0.05);
}
