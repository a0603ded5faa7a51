//! How times, rates, numbers and paths stand in JSON.

use super::exact::micros;
use crate::moment::Moment;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unisono_media::video::{Jump, Ratio, Time};

/// What is written of a time. `pts` and `base` are read back; `time` is checked against them, `seconds` is for people.
#[derive(Serialize, Deserialize)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frame: Option<u64>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    seconds: Option<f64>,
    pts: i64,
    base: String,
}

impl Form {
    fn of(frame: Option<u64>, time: Time) -> Self {
        Self {
            frame,
            time: Some(time.to_string()),
            seconds: Some(micros(time)),
            pts: time.pts,
            base: time.base.to_string(),
        }
    }

    fn read<E: de::Error>(&self) -> Result<Time, E> {
        let base = self.base.parse().map_err(|()| {
            E::custom(format!("base: expected a fraction as \"1/24000\", found {:?}", self.base))
        })?;
        let time = Time { pts: self.pts, base };
        match &self.time {
            // Somebody changed the one and not the other: neither is to be believed.
            Some(text) if *text != time.to_string() => Err(E::custom(format!(
                "time: expected \"{time}\", which pts {} and base {} make, found {text:?}",
                self.pts, self.base
            ))),
            _ => Ok(time),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Form::of(Some(self.frame), self.time).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(deserializer)?;
        let frame = form.frame.ok_or_else(|| de::Error::missing_field("frame"))?;
        Ok(Self { frame, time: form.read()? })
    }
}

/// Times without frames.
pub(crate) mod times {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(times: &[Time], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(times.iter().map(|&time| Form::of(None, time)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Time>, D::Error> {
        Vec::<Form>::deserialize(deserializer)?.iter().map(Form::read).collect()
    }
}

/// Where a clock breaks: the frame, and the container's times before and at it.
pub(crate) mod jumps {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Break {
        frame: u64,
        from: Form,
        to: Form,
    }

    pub(crate) fn serialize<S: Serializer>(jumps: &[Jump], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(jumps.iter().map(|jump| Break {
            frame: jump.frame,
            from: Form::of(None, jump.from),
            to: Form::of(None, jump.to),
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Jump>, D::Error> {
        let read = |of: &Break| Ok(Jump { frame: of.frame, from: of.from.read()?, to: of.to.read()? });
        Vec::<Break>::deserialize(deserializer)?.iter().map(read).collect()
    }
}

/// A rate: `"24000/1001"`.
pub(crate) mod rate {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(rate: &Option<Ratio>, serializer: S) -> Result<S::Ok, S::Error> {
        rate.map(|rate| rate.to_string()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Ratio>, D::Error> {
        let wrong =
            |text: &str| de::Error::custom(format!("expected a rate as \"24000/1001\", found {text:?}"));
        Option::<String>::deserialize(d)?.map(|t| t.parse().map_err(|()| wrong(&t))).transpose()
    }
}

/// JSON has no NaN: it is `null`.
pub(crate) mod number {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.is_finite().then_some(*number).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

/// A file: `path` to read, and `path_hex`, its bytes, only where `path` cannot say it.
pub(crate) mod path {
    use super::*;
    use std::path::{Path, PathBuf};

    #[derive(Serialize, Deserialize)]
    struct Named {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path_hex: Option<String>,
    }

    pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        Named { path: path.to_string_lossy().into_owned(), path_hex: hex(path) }.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let named = Named::deserialize(deserializer)?;
        of(named.path, named.path_hex.as_deref()).map_err(de::Error::custom)
    }

    /// The bytes of a path that is not Unicode.
    pub(crate) fn hex(path: &Path) -> Option<String> {
        let bytes = path.to_str().is_none().then_some(path.as_os_str().as_encoded_bytes())?;
        Some(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The path that these two say.
    pub(crate) fn of(text: String, hex: Option<&str>) -> Result<PathBuf, String> {
        let Some(hex) = hex else { return Ok(text.into()) };
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let wrong = || format!("hex of the path: expected two hexadecimal digits a byte, found {hex:?}");
        if !hex.len().is_multiple_of(2) {
            return Err(wrong());
        }
        let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
        Ok(from_bytes(bytes.ok_or_else(wrong)?, text))
    }

    #[cfg(unix)]
    fn from_bytes(bytes: Vec<u8>, _: String) -> PathBuf {
        use std::os::unix::ffi::OsStringExt;
        std::ffi::OsString::from_vec(bytes).into()
    }

    /// Elsewhere the bytes mean nothing: the readable name is what is left.
    #[cfg(not(unix))]
    fn from_bytes(_: Vec<u8>, text: String) -> PathBuf {
        text.into()
    }
}

/// A file that lies beside, whose name is ours.
pub(crate) mod relative {
    use super::*;
    use std::path::PathBuf;

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_ref().map(|p| p.to_string_lossy()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        Option::<PathBuf>::deserialize(deserializer)
    }
}
