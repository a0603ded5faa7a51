//! Writes every file about a made-up video of two hours, to look at: `cargo run -p unisono-scenes --example scenes_demo -- FOLDER`.

#[path = "scenes_demo/made_up.rs"]
mod made_up;

use std::path::PathBuf;
use unisono_scenes::report::{self, Curve};
use unisono_scenes::write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "scenes-demo".to_owned()));
    std::fs::create_dir_all(dir.join("thumbnails"))?;
    let video = made_up::video();
    for scene in &video.scenes {
        if let Some(name) = &scene.thumbnail {
            made_up::image(scene.index).save(dir.join(name))?;
        }
    }
    let curve = |name: &str, threshold| Curve { name: name.to_owned(), threshold };
    let options = write::Options {
        report: report::Options {
            curves: vec![curve("content_val", Some(27.0)), curve("average_rgb", Some(12.0))],
        },
        ..write::Options::default()
    };
    for file in write::all(&dir, &video, &options)? {
        println!("{:>10} {}", std::fs::metadata(&file)?.len(), file.display());
    }
    Ok(())
}
