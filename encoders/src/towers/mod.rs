//! The towers, a file each. Each returns its tokens and one pooled vector; the projection is the model's.

mod audio;
mod image;
mod output;
mod speech;
#[cfg(test)]
mod tests;
mod text;
mod tower;
mod trunk;
mod vit;

pub use audio::AudioTower;
pub use image::ImageTower;
pub use output::TowerOutput;
pub use text::TextTower;
pub(crate) use tower::Tower;
pub use vit::VisionTransformer;
