//! Report: assessments written for readers; each format decides nothing but its words.

pub mod json;
