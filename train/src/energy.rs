//! The energy of a run: counted by the processors (RAPL) and the GPU (NVML) where they count, estimated from time where they do not.

mod rapl;

use crate::recipe::EnergyConfig;
use rapl::Rapl;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Instant;
use tch::Device;
use unisono_torch_ext::nvml::EnergyCounter;

/// Joules in a kilowatt-hour.
const KWH: f64 = 3.6e6;

/// What a run took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// Kilowatt-hours.
    pub kwh: f64,
    /// Grams of CO2 equivalents, at `grid`.
    pub gco2e: f64,
    /// Grams of CO2 equivalents of a kilowatt-hour.
    pub grid: f64,
    /// How it was found: `measured (RAPL)`, `estimated (5 W a thread)`.
    pub how: String,
}

impl fmt::Display for Energy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kwh, gco2e, grid, how } = self;
        write!(f, "{} kWh, {} gCO2e at {grid} g/kWh, {how}", figures(*kwh), figures(*gco2e))
    }
}

/// Two or three figures, however small.
fn figures(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.1}"),
        v if v >= 1e-3 || v == 0.0 => format!("{v:.3}"),
        v => format!("{v:.1e}"),
    }
}

/// Where the processors' joules come from.
#[derive(Debug)]
enum Processors {
    /// Their own counters. They count whatever else runs there, too.
    Counted(Rapl),
    /// So many watts while the run goes on.
    Estimated(f64),
}

/// Where a GPU's joules come from.
#[derive(Debug)]
enum Gpu {
    Counted(EnergyCounter, f64),
    Estimated(f64),
}

/// Adds up what a run takes.
#[derive(Debug)]
pub(crate) struct Meter {
    config: EnergyConfig,
    processors: Processors,
    gpu: Option<Gpu>,
    last: Instant,
}

impl Meter {
    /// For a run of so many threads on `device`, from now on.
    pub(crate) fn start(config: &EnergyConfig, device: Device, threads: usize) -> Self {
        Self::over(Path::new(rapl::POWERCAP), config, device, threads)
    }

    fn over(powercap: &Path, config: &EnergyConfig, device: Device, threads: usize) -> Self {
        let processors = match Rapl::open(powercap) {
            Some(rapl) => Processors::Counted(rapl),
            None => Processors::Estimated(config.watts_per_thread * threads as f64),
        };
        let gpu = match device {
            Device::Cuda(index) => {
                let counter = EnergyCounter::open(index).and_then(|c| Some((c.joules()?, c)));
                Some(match counter {
                    Some((joules, counter)) => Gpu::Counted(counter, joules),
                    None => Gpu::Estimated(config.watts_per_gpu),
                })
            }
            _ => None,
        };
        Self { config: config.clone(), processors, gpu, last: Instant::now() }
    }

    /// Joules since this was last asked: once a step, so that no counter goes round unseen.
    pub(crate) fn joules(&mut self) -> f64 {
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        let processors = match &mut self.processors {
            Processors::Counted(rapl) => rapl.joules(),
            Processors::Estimated(watts) => *watts * seconds,
        };
        let gpu = match &mut self.gpu {
            None => 0.0,
            Some(Gpu::Estimated(watts)) => *watts * seconds,
            Some(Gpu::Counted(counter, last)) => counter.joules().map_or(0.0, |now| {
                let spent = (now - *last).max(0.0);
                *last = now;
                spent
            }),
        };
        processors + gpu
    }

    /// What so many joules are.
    pub(crate) fn energy(&self, joules: f64) -> Energy {
        let (kwh, grid) = (joules / KWH, self.config.grid);
        Energy { kwh, gco2e: kwh * grid, grid, how: self.how() }
    }

    fn how(&self) -> String {
        let (mut counted, mut estimated) = (Vec::new(), Vec::new());
        match self.processors {
            Processors::Counted(_) => counted.push("RAPL".to_owned()),
            Processors::Estimated(_) => {
                estimated.push(format!("{} W a thread", self.config.watts_per_thread))
            }
        }
        match self.gpu {
            Some(Gpu::Counted(..)) => counted.push("NVML".to_owned()),
            Some(Gpu::Estimated(watts)) => estimated.push(format!("{watts} W a GPU")),
            None => {}
        }
        let of = |what: &str, parts: Vec<String>| {
            (!parts.is_empty()).then(|| format!("{what} ({})", parts.join(", ")))
        };
        let both = [of("measured", counted), of("estimated", estimated)];
        both.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_named_so_and_a_count_is_what_was_counted() {
        let config = EnergyConfig { grid: 100.0, watts_per_thread: 4.0, watts_per_gpu: 250.0 };
        let dir = tempfile::tempdir().unwrap();
        let mut meter = Meter::over(dir.path(), &config, Device::Cpu, 2);
        assert!(meter.joules() > 0.0);
        let energy = meter.energy(1.8e6);
        assert_eq!((energy.kwh, energy.gco2e, energy.grid), (0.5, 50.0, 100.0));
        assert_eq!(energy.to_string(), "0.500 kWh, 50.0 gCO2e at 100 g/kWh, estimated (4 W a thread)");
        assert_eq!(
            (figures(1234.5), figures(0.012), figures(0.00012)),
            ("1234".into(), "0.012".into(), "1.2e-4".into())
        );
        let zone = dir.path().join("intel-rapl:0");
        std::fs::create_dir(&zone).unwrap();
        for (name, text) in
            [("name", "package-0"), ("energy_uj", "5000000"), ("max_energy_range_uj", "9000000")]
        {
            std::fs::write(zone.join(name), text).unwrap();
        }
        let mut meter = Meter::over(dir.path(), &config, Device::Cpu, 2);
        std::fs::write(zone.join("energy_uj"), "7000000").unwrap();
        assert_eq!(meter.joules(), 2.0);
        assert_eq!(meter.energy(0.0).how, "measured (RAPL)");
        // No machine of ours has so many GPUs.
        let meter = Meter::over(dir.path(), &config, Device::Cuda(10_000), 2);
        assert_eq!(meter.energy(0.0).how, "measured (RAPL), estimated (250 W a GPU)");
    }
}
