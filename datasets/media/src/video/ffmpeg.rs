//! The `ffmpeg` program: where it lies, and how it is started on a stranger's file.

use super::Time;
use super::complaint::complaint;
use super::limits::VideoLimits;
use super::watchdog::{Idle, Run};
use crate::blob::OnDisk;
use crate::{Blob, Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use unisono_files::cache_folder;

/// Containers that hold their media themselves. Playlists (`hls`, `dash`, `concat`, …) and numbered images are not among them: they name
/// other files.
const CONTAINERS: &str = "aac,ac3,aiff,amr,ape,apng,asf,au,av1,avi,caf,dts,dtshd,dv,dvdvideo,eac3,flac,flv,gif,gxf,h261,h263,h264,\
    hevc,ivf,ivr,loas,matroska,webm,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nsv,nut,obu,ogg,rm,swf,tak,tta,vc1,\
    voc,vvc,w64,wav,webp_anim,wtv,wv,y4m,yuv4mpegpipe";

/// The program. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    program: PathBuf,
    /// The audio track that is heard, counted from 1; absent: the container's own choice.
    track: Option<u16>,
}

impl Ffmpeg {
    /// The one named by the user, by `UNISONO_FFMPEG`, on `PATH`, or fetched by set-up, in this order.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] when there is none, or the named one is no file.
    pub fn find(named: Option<&Path>) -> Result<Self> {
        let variable = std::env::var_os("UNISONO_FFMPEG").filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(program) = named.map(Path::to_path_buf).or(variable) {
            return if program.is_file() {
                Ok(Self { program, track: None })
            } else {
                Err(Error::ToolMissing {
                    tool: program.display().to_string(),
                    what: "decode videos and audio files (named by --ffmpeg or UNISONO_FFMPEG)".into(),
                })
            };
        }
        let on_path = std::env::var_os("PATH")
            .and_then(|path| std::env::split_paths(&path).map(|d| d.join("ffmpeg")).find(|f| f.is_file()));
        let fetched = cache_folder().join("ffmpeg").join("ffmpeg");
        on_path.or_else(|| Some(fetched).filter(|f| f.is_file())).map(|program| Self { program, track: None }).ok_or_else(|| {
            Error::ToolMissing {
                tool: "ffmpeg".into(),
                what: "decode videos and most audio files: `cargo xtask setup` fetches one; or install it, or name it by --ffmpeg or UNISONO_FFMPEG".into(),
            }
        })
    }

    /// The same program, which hears the audio track of this number, counted from 1, in every file.
    #[must_use]
    pub fn hearing(self, track: Option<u16>) -> Self {
        Self { track, ..self }
    }

    /// The audio track that was chosen, counted from 1.
    pub fn track(&self) -> Option<u16> {
        self.track
    }

    /// Where it lies.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A run on a file: no terminal, no network, no other file, bounded memory. `output` are the options of what it
    /// makes. It is watched: one that does nothing any more is ended.
    pub(super) fn on(&self, blob: &Blob, limits: &VideoLimits, output: &[&str]) -> Result<Run> {
        self.on_from(blob, limits, None, output)
    }

    /// The same, from the key frame at or before `begin` on.
    pub(super) fn on_from(
        &self,
        blob: &Blob,
        limits: &VideoLimits,
        begin: Option<Time>,
        output: &[&str],
    ) -> Result<Run> {
        let disk = blob.on_disk()?;
        // Headers, packets and audio of the longest file cost minutes of a processor at most.
        let command = self.reading(self.bounded(limits, 1800), &disk, (None, begin), output);
        Ok(Run { command, path: blob.name().to_owned(), limits: *limits, disk: Some(disk) })
    }

    /// Runs a command made of [`guarded`](Self::guarded) on `path` to its end, watched alike.
    ///
    /// # Errors
    /// It cannot be started; [`Error::Limit`] where it did nothing for so long that it was ended.
    pub fn run(&self, mut command: Command, path: &Path, limits: &VideoLimits) -> Result<Output> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Run { command, path: path.to_owned(), limits: *limits, disk: None }
            .output()
            .map_err(self.cannot_start())
    }

    /// The same, with so many threads to decode, from the key frame at or before `begin` on.
    pub(super) fn decoding(
        &self,
        disk: &OnDisk,
        limits: &VideoLimits,
        threads: Option<&str>,
        begin: Option<Time>,
        output: &[&str],
    ) -> Command {
        self.reading(self.guarded(limits), disk, (threads, begin), output)
    }

    fn reading(
        &self,
        mut command: Command,
        disk: &OnDisk,
        (threads, begin): (Option<&str>, Option<Time>),
        output: &[&str],
    ) -> Command {
        command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"]);
        if let Some(threads) = threads {
            command.args(["-threads", threads, "-filter_complex_threads", threads]);
        }
        if let Some(begin) = begin {
            // On the container's own clock; without this FFmpeg would leave out what comes before the time itself.
            let seconds = format!("{:.6}", begin.seconds());
            command.args(["-seek_timestamp", "1", "-noaccurate_seek", "-ss", &seconds]);
        }
        // `file:` keeps names with colons or a leading dash what they are.
        let mut name = OsString::from("file:");
        name.push(disk.path());
        command.arg("-i").arg(name).args(output);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The program, for a stranger's file: bounded memory and processor time, no network, no other file. Options of the input, `-i` and the
    /// output follow.
    pub fn guarded(&self, limits: &VideoLimits) -> Command {
        self.bounded(limits, 86_400)
    }

    /// So many seconds of processor time at most.
    fn bounded(&self, limits: &VideoLimits, seconds: u32) -> Command {
        // The shell only sets the bounds and becomes ffmpeg; names reach it as words, never as text to read.
        let mut command = Command::new("sh");
        // A terminal's Ctrl-C is for this process, which ends ffmpeg then. Ended by it, ffmpeg would call what it has so far a whole video.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let bounds = format!("ulimit -v \"$0\" 2>/dev/null; ulimit -t {seconds} 2>/dev/null; exec \"$@\"");
        command.args(["-c", &bounds]);
        command.arg((limits.max_memory * 1024).to_string()).arg(&self.program);
        command.args(["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS]);
        command.args(["-max_pixels", &limits.max_pixels.to_string()]);
        command
    }

    pub(super) fn cannot_start(&self) -> impl Fn(std::io::Error) -> Error + '_ {
        |source| match Idle::of(&source) {
            Some(Idle { path, limits }) => Error::Limit {
                path: path.clone(),
                what: "the decoder's silence",
                found: format!("over {} seconds in which it did nothing", limits.max_silence),
                limit: format!("{} seconds", limits.max_silence),
                option: "max_silence",
            },
            None => Error::io(&self.program, "start")(source),
        }
    }
}

/// What a failed run says, in one line: its last error, without the addresses of its parts.
pub(super) fn reason(log: &str) -> String {
    let mut found = None;
    for line in log.lines() {
        if let Some(text) = complaint(line) {
            // The causes come first, their consequences last.
            if found.is_none() || text.contains("whitelist") {
                found = Some(text);
            }
        }
    }
    match found {
        Some(text) if text.contains("whitelist") => {
            "a playlist or another format that names other files".into()
        }
        Some(text) if text.contains("Invalid data found") => "something else".into(),
        Some(text) if text.contains("moov atom not found") => {
            "something else, or an MP4 without its index".into()
        }
        Some(text) => text.rsplit_once("file:").map_or(text, |(before, _)| before.trim_end()).to_owned(),
        None => "something that ffmpeg cannot open".into(),
    }
}
