//! Convolutional image towers, a file each.

mod block;
mod efficientnet;

pub use efficientnet::EfficientNet;
