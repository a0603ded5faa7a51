//! `--precision`: an arithmetic by its name, or the best one of the machine.

use tch::Device;
use unisono_encoders::Precision;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What the device multiplies fastest while results stay close to single precision.
    Auto,
    /// This one.
    Named(Precision),
}

impl Asked {
    /// What it is on `device`.
    pub(crate) fn on(self, device: Device) -> Precision {
        match self {
            Self::Auto => Precision::auto(device),
            Self::Named(precision) => precision,
        }
    }
}

impl std::str::FromStr for Asked {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            name => match name.parse() {
                Ok(precision) => Ok(Self::Named(precision)),
                Err(_) => Err(format!("unknown precision {s:?}: expected fp32, bf16, int8 or auto")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_auto() {
        assert_eq!("int8".parse(), Ok(Asked::Named(Precision::Int8)));
        assert_eq!("auto".parse(), Ok(Asked::Auto));
        assert!("fast".parse::<Asked>().unwrap_err().contains("fp32, bf16, int8 or auto"));
        assert_eq!(Asked::Named(Precision::Fp32).on(Device::Cpu), Precision::Fp32);
        // What auto picks is never bytes: they move results too far to be picked unasked.
        assert_ne!(Asked::Auto.on(Device::Cpu), Precision::Int8);
        assert_eq!(Asked::Auto.on(Device::Cuda(0)), Precision::Fp32);
    }
}
