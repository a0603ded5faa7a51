//! Where a film cuts: `cargo run --release --example scenes -- OUT clip.mp4`
//!
//! ```text
//! clip.mp4: 3 shots in 2 scenes, 6.0 s
//! OUT/videos/clip-5f0d1c22/report.html
//! ```
use std::error::Error;
use std::path::{Path, PathBuf};
use unisono_jobs::Flow;
use unisono_jobs::scenes::{Models, Output, SceneJob, SceneSettings, Shard, list, scenes};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().ok_or("usage: scenes OUT VIDEO…")?;

    let (videos, _) = list(&args.map(PathBuf::from).collect::<Vec<_>>())?;
    let settings = SceneSettings::load(None, &["content.threshold=25".into()])?;
    let job = SceneJob { outputs: &[Output::Report], ..SceneJob::new(Path::new(&out), &settings) };
    let models = Models::default(); // embed, caption and transcribe scenes by adding models here
    let made = scenes(&job, &models, &videos, Shard::WHOLE, &mut |_| Flow::Continue)?;

    for video in &made.videos {
        let (path, seconds) = (video.path.display(), video.seconds);
        println!("{path}: {} shots in {} scenes, {seconds:.1} s", video.shots, video.scenes);
        println!("{}", video.folder.join("report.html").display());
    }
    Ok(())
}
