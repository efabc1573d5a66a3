//! CPU use beside the block minima of a series, and how much of their growth it explains.

use crate::core::detect::constants::{RING, WINDOW_LENGTHS};

/// CPU use in one byte, from 1/8192 of a core to 62: four bits of exponent and four of mantissa,
/// so the error is at most 3 %. It is compared by thirds of windows, to 10 %, and below 2 % of a
/// core not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuLoad(u8);

impl CpuLoad {
    /// No CPU use.
    pub const NONE: Self = Self(0);
    /// Parts of a core.
    pub const PER_CORE: f64 = 8192.0;
    /// The least value with an exponent; a smaller one is its own mantissa.
    const HIDDEN: u32 = 16;

    /// The code nearest to so many cores.
    pub fn new(cores: f64) -> Self {
        Self::of((cores * Self::PER_CORE) as u32)
    }

    /// The code nearest to so many parts of a core.
    fn of(parts: u32) -> Self {
        let exponent = (parts / Self::HIDDEN).checked_ilog2().unwrap_or(0);
        let rounded = parts.saturating_add((1 << exponent) >> 1) >> exponent;
        // Rounding up to 32 is carried into the exponent by the sum itself.
        Self((exponent * Self::HIDDEN + rounded).min(u8::MAX.into()) as u8)
    }

    /// Parts of a core, less than 2^19.
    pub fn parts(self) -> u32 {
        let (exponent, mantissa) =
            (u32::from(self.0) / Self::HIDDEN, u32::from(self.0) % Self::HIDDEN);
        match exponent {
            0 => mantissa,
            _ => (Self::HIDDEN + mantissa) << (exponent - 1),
        }
    }

    /// The mean of two.
    pub fn mean(self, other: Self) -> Self {
        Self::of(self.parts().midpoint(other.parts()))
    }
}

/// Sums over a window's minima and loads, from which follows what load explains.
///
/// They are whole numbers, so none is rounded and the windows of one level share them: below 2^19
/// parts, 2^32 pages and 24 blocks, no product of two sums reaches 2^61. Time counts back from the
/// newest block.
#[derive(Clone, Copy)]
pub struct LoadSums {
    blocks: i64,
    load: i64,
    minimum: i64,
    load_load: i64,
    time_load: i64,
    load_minimum: i64,
    time_minimum: i64,
    least: u32,
    most: u32,
}

impl LoadSums {
    const NONE: Self = Self {
        blocks: 0,
        load: 0,
        minimum: 0,
        load_load: 0,
        time_load: 0,
        load_minimum: 0,
        time_minimum: 0,
        least: u32::MAX,
        most: 0,
    };

    /// The sums of each length of window, all of which end with the newest minimum.
    pub fn of_windows(minima: &[u32; RING], parts: &[u32; RING]) -> [Self; WINDOW_LENGTHS.len()] {
        let (mut sums, mut taken) = (Self::NONE, 0);
        WINDOW_LENGTHS.map(|blocks| {
            for age in taken..blocks {
                sums.add(minima[RING - 1 - age], parts[RING - 1 - age]);
            }
            taken = blocks;
            sums
        })
    }

    fn add(&mut self, minimum: u32, parts: u32) {
        let (time, load, minimum) = (-self.blocks, i64::from(parts), i64::from(minimum));
        self.blocks += 1;
        self.load += load;
        self.minimum += minimum;
        self.load_load += load * load;
        self.time_load += time * load;
        self.load_minimum += load * minimum;
        self.time_minimum += time * minimum;
        self.least = self.least.min(parts);
        self.most = self.most.max(parts);
    }

    /// What load explains of the minima at a fixed time. None unless the window holds a real swing
    /// of load, load itself has no trend, and more load means more memory.
    pub fn explained(&self) -> Option<LoadFit> {
        let n = self.blocks;
        let swing = i64::from(self.most) - i64::from(self.least);
        if swing <= 0 || 2 * n * swing < self.load {
            return None;
        }
        // Each is n times a sum of products of differences from the mean.
        let time = n * (1 - n) / 2;
        let tt = (n * n * (n * n - 1) / 12) as f64;
        let uu = (n * self.load_load - self.load * self.load) as f64;
        let tu = (n * self.time_load - time * self.load) as f64;
        let uf = (n * self.load_minimum - self.load * self.minimum) as f64;
        let tf = (n * self.time_minimum - time * self.minimum) as f64;
        let determinant = uu * tt - tu * tu;
        if determinant < 0.4 * uu * tt {
            return None;
        }
        let per_part = (uf * tt - tf * tu) / determinant;
        (per_part > 0.0).then_some(LoadFit { per_part, mean: self.load as f64 / n as f64 })
    }
}

/// How the minima depend on load, in pages for each part of a core.
#[derive(Clone, Copy)]
pub struct LoadFit {
    per_part: f64,
    mean: f64,
}

impl LoadFit {
    /// The minima as they would be at the mean load.
    pub fn at_equal_load(&self, minima: &[u32; RING], parts: &[u32; RING]) -> [f64; RING] {
        let Self { per_part, mean } = self;
        std::array::from_fn(|j| f64::from(minima[j]) - per_part * (f64::from(parts[j]) - mean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_use_fits_a_byte_and_is_off_by_at_most_3_percent() {
        assert_eq!((CpuLoad::new(0.0), CpuLoad::new(1e9)), (CpuLoad(0), CpuLoad(255)));
        for code in 0..=255 {
            assert_eq!(CpuLoad::of(CpuLoad(code).parts()), CpuLoad(code));
        }
        for parts in 16..500_000 {
            let off = CpuLoad::of(parts).parts().abs_diff(parts);
            assert!(f64::from(off) <= 0.0313 * f64::from(parts), "{parts}");
        }
    }

    /// The slope of `minima` on `loads` in the normal equations with time, by differences from
    /// the means.
    fn slope(minima: &[u32], loads: &[u32]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let centred = |values: Vec<f64>| {
            let mean = mean(&values);
            values.into_iter().map(move |value| value - mean).collect::<Vec<_>>()
        };
        let f = centred(minima.iter().copied().map(f64::from).collect());
        let u = centred(loads.iter().copied().map(f64::from).collect());
        let t = centred((0..minima.len()).map(|j| j as f64).collect());
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (uu, tt, tu) = (dot(&u, &u), dot(&t, &t), dot(&t, &u));
        (dot(&u, &f) * tt - dot(&t, &f) * tu) / (uu * tt - tu * tu)
    }

    proptest::proptest! {
        #[test]
        fn what_load_explains_is_the_slope_of_least_squares(
            minima: [u32; RING],
            loads: [u8; RING],
        ) {
            let parts = loads.map(|load| CpuLoad(load).parts());
            for (blocks, sums) in WINDOW_LENGTHS.into_iter().zip(LoadSums::of_windows(&minima, &parts)) {
                let slope = slope(&minima[RING - blocks..], &parts[RING - blocks..]);
                if let Some(LoadFit { per_part, .. }) = sums.explained() {
                    proptest::prop_assert!((per_part / slope - 1.0).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let parts = std::array::from_fn(|j| CpuLoad(if j % 2 == 0 { 255 } else { 0 }).parts());
        let minima = std::array::from_fn(|j| if j % 2 == 0 { u32::MAX } else { 0 });
        for sums in LoadSums::of_windows(&minima, &parts) {
            let LoadFit { per_part, .. } = sums.explained().unwrap();
            assert!((per_part / (f64::from(u32::MAX) / f64::from(parts[0])) - 1.0).abs() < 1e-9);
        }
    }
}
