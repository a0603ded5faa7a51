//! How texts are generated, and which of these options say nothing together.

use crate::error::Error;
use clap::ValueEnum;
use unisono_fusion::Generation;
use unisono_fusion::config::EarlyStopping;

/// How texts are generated; what is not given is the model's own.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Generation")]
pub(crate) struct GenerationArgs {
    /// Beams of a beam search; 1 takes the best token each time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    beams: Option<u16>,
    /// Beam scores are divided by length to this power: above 0 favours long texts
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = number)]
    length_penalty: Option<f64>,
    /// When a beam search stops [default: the model's own; of transcribe: full, as Whisper's own program and faster-whisper stop]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(super) early_stopping: Option<StoppingArg>,
    /// Tokens that were used lose by this factor; 1 is none
    #[arg(long, value_name = "X", value_parser = positive)]
    repetition_penalty: Option<f64>,
    /// No run of so many tokens twice; 0 allows all
    #[arg(long, value_name = "N")]
    no_repeat_ngram: Option<usize>,
    /// Draw tokens at this temperature; 0 draws none
    #[arg(long, value_name = "T", value_parser = not_negative)]
    pub(super) temperature: Option<f64>,
    /// Draw from the so many best tokens only; 0 from all
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw from the best tokens that have this probability together
    #[arg(long, value_name = "P", value_parser = share)]
    top_p: Option<f64>,
    /// Another number, other draws [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// When a beam search stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoppingArg {
    /// When no running beam can beat a finished text at its present length
    Heuristic,
    /// As soon as there are as many finished texts as beams
    Full,
    /// When no running beam can beat a finished text at any length
    Never,
}

impl From<StoppingArg> for EarlyStopping {
    fn from(when: StoppingArg) -> Self {
        match when {
            StoppingArg::Heuristic => Self::Heuristic,
            StoppingArg::Full => Self::Full,
            StoppingArg::Never => Self::Never,
        }
    }
}

/// How long texts are.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Generation")]
pub(crate) struct TextLength {
    /// Most tokens, the prompt's included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_length: Option<u32>,
    /// Least tokens, the prompt's included
    #[arg(long, value_name = "N")]
    min_length: Option<u32>,
}

fn finite(text: &str, expected: &str, right: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value = text.parse().ok().filter(|v: &f64| v.is_finite() && right(*v));
    value.ok_or_else(|| format!("expected {expected}"))
}

fn number(text: &str) -> Result<f64, String> {
    finite(text, "a number", |_| true)
}

fn positive(text: &str) -> Result<f64, String> {
    finite(text, "more than 0", |v| v > 0.0)
}

fn not_negative(text: &str) -> Result<f64, String> {
    finite(text, "0 or more", |v| v >= 0.0)
}

fn share(text: &str) -> Result<f64, String> {
    finite(text, "more than 0 and at most 1", |v| v > 0.0 && v <= 1.0)
}

impl GenerationArgs {
    /// These options over a model's own. `warmer`: tokens may be drawn at temperatures that the command chooses itself.
    ///
    /// # Errors
    /// An option that would change nothing, or two that exclude each other.
    pub(crate) fn over(&self, base: &Generation, warmer: bool) -> Result<Generation, Error> {
        let made = Generation {
            beams: self.beams.map_or(base.beams, usize::from),
            length_penalty: self.length_penalty.unwrap_or(base.length_penalty),
            early_stopping: self.early_stopping.map_or(base.early_stopping, EarlyStopping::from),
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            no_repeat_ngram: self.no_repeat_ngram.unwrap_or(base.no_repeat_ngram),
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.unwrap_or(base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            seed: self.seed.unwrap_or(base.seed),
            ..base.clone()
        };
        let drawn = made.temperature > 0.0;
        if drawn && made.beams > 1 {
            let beams = made.beams;
            return usage(if self.temperature.is_some() && self.beams.is_none() {
                format!(
                    "--temperature: this model searches with {beams} beams, and a beam search draws nothing; give --beams 1 besides"
                )
            } else {
                "--beams and --temperature exclude each other: a beam search draws nothing".into()
            });
        }
        if !drawn && !warmer {
            let given = [
                ("--top-k", self.top_k.is_some()),
                ("--top-p", self.top_p.is_some()),
                ("--seed", self.seed.is_some()),
            ];
            if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
                return usage(format!(
                    "{option} changes nothing where no token is drawn: give --temperature above 0 besides"
                ));
            }
        }
        let searched = [
            ("--length-penalty", self.length_penalty.is_some()),
            ("--early-stopping", self.early_stopping.is_some()),
        ];
        if made.beams == 1
            && let Some((option, _)) = searched.iter().find(|(_, given)| *given)
        {
            return usage(format!(
                "{option} changes nothing without a beam search: give --beams above 1 besides"
            ));
        }
        made.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok(made)
    }
}

impl TextLength {
    /// These lengths over a model's own; `room` is the longest text that it writes.
    pub(crate) fn over(&self, base: Generation, room: Option<usize>) -> Result<Generation, Error> {
        let (least, most) = lengths(self.min_length, self.max_length)?;
        let made = Generation {
            max_length: most.unwrap_or(base.max_length),
            min_length: least.unwrap_or(base.min_length),
            ..base
        };
        let longest = room.map_or(made.max_length, |room| room.min(made.max_length));
        match least {
            Some(least) if least > longest => {
                usage(format!("--min-length {least}: this model writes at most {longest} tokens here"))
            }
            // What a checkpoint asks for yields to what the user asks for.
            _ => Ok(Generation { min_length: made.min_length.min(longest), ..made }),
        }
    }
}

/// The least and the most tokens.
pub(super) fn lengths(
    least: Option<u32>,
    most: Option<u32>,
) -> Result<(Option<usize>, Option<usize>), Error> {
    match (least, most) {
        (Some(least), Some(most)) if least > most => {
            usage(format!("--min-length {least} is above --max-length {most}"))
        }
        _ => Ok((least.map(|n| n as usize), most.map(|n| n as usize))),
    }
}

fn usage<T>(message: String) -> Result<T, Error> {
    Err(Error::Usage(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        generation: GenerationArgs,
        #[command(flatten)]
        length: TextLength,
    }

    fn made(args: &[&str], base: &Generation, warmer: bool) -> Result<Generation, String> {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(args)).map_err(|e| e.to_string())?;
        let made = line.generation.over(base, warmer).and_then(|g| line.length.over(g, Some(30)));
        made.map_err(|e| {
            assert_eq!(e.code(), 2);
            e.to_string()
        })
    }

    #[test]
    fn what_would_change_nothing_is_refused() {
        let plain = Generation::default();
        for (args, part) in [
            (&["--top-k", "3"][..], "--top-k changes nothing"),
            (&["--top-p", "0.5"], "--top-p changes nothing"),
            (&["--seed", "0"], "--seed changes nothing"),
            (&["--temperature", "0", "--seed", "1"], "--seed changes nothing"),
            (&["--length-penalty", "2"], "--length-penalty changes nothing"),
            (&["--early-stopping", "full"], "--early-stopping changes nothing"),
            (&["--beams", "2", "--temperature", "1"], "exclude each other"),
            (&["--min-length", "9", "--max-length", "8"], "--min-length 9 is above --max-length 8"),
            (&["--min-length", "40", "--max-length", "50"], "at most 30 tokens"),
            (&["--min-length", "21"], "at most 20 tokens"),
            (&["--top-p", "1.5"], "more than 0 and at most 1"),
            (&["--temperature", "NaN"], "0 or more"),
            (&["--repetition-penalty", "0"], "more than 0"),
            (&["--beams", "0"], "1..=64"),
            (&["--max-length", "0"], "1.."),
        ] {
            let e = made(args, &plain, false).unwrap_err();
            assert!(e.contains(part), "{args:?}: {e}");
        }
    }

    #[test]
    fn the_models_own_settings_count() {
        let beams = Generation { beams: 3, min_length: 12, ..Generation::default() };
        assert!(made(&["--temperature", "1"], &beams, false).unwrap_err().contains("with 3 beams"));
        assert_eq!(made(&["--temperature", "1", "--beams", "1"], &beams, false).unwrap().beams, 1);
        assert_eq!(made(&["--length-penalty", "-1"], &beams, false).unwrap().length_penalty, -1.0);
        assert_eq!(made(&["--max-length", "8"], &beams, false).unwrap().min_length, 8);
        let drawn = Generation { temperature: 0.7, ..Generation::default() };
        assert_eq!(made(&["--top-k", "3"], &drawn, false).unwrap().top_k, 3);
        assert_eq!(made(&["--seed", "4"], &Generation::default(), true).unwrap().seed, 4);
    }
}
