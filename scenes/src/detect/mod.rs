//! Detectors of shot boundaries.
