//! Objects: the two that the agent carries, and how one is loaded.

use super::{ProbeError, chain, numbers};
use crate::{config::Config, host::lockdown::Lockdown, memory};
use aya::{Ebpf, EbpfLoader, programs::ProgramType, sys::is_program_supported, util::nr_cpus};
use sockmeter_abi::EXCLUDED_PROCESSES_MAX;

static TYPED: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sockmeter.bpf.o"));
static FALLBACK: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fallback.bpf.o"));

/// Which of the two objects; see `ebpf/src/fallback.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// Programs that the kernel tells types, and lends the storage of sockets (5.12).
    Typed,
    /// Programs that do without (5.8).
    Fallback,
}

impl Object {
    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Typed => TYPED,
            Self::Fallback => FALLBACK,
        }
    }

    /// Loads the object and creates its maps; nothing is attached yet.
    pub(super) fn load(
        self,
        numbers: &[(&'static str, u32)],
        lockdown: Lockdown,
        config: &Config,
    ) -> Result<Ebpf, ProbeError> {
        let bytes = self.bytes();
        if bytes.is_empty() {
            return Err(ProbeError::NoObject);
        }
        let agent_pid = std::process::id();
        let tick_ns = numbers::tick_ns();
        let reads_kernel = u32::from(lockdown.lets_read());
        let cpus = nr_cpus().map_err(|(path, why)| ProbeError::Load(format!("{path}: {why}")))?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        let excludes = u32::from(!config.exclude.is_empty());
        let excluded_max = (excludes * EXCLUDED_PROCESSES_MAX).max(1);
        let connections_max = config.kernel.connections_max;
        let mut loader = EbpfLoader::new();
        // It has read all of the kernel's types, for relocations that the object has none of.
        loader.btf(None);
        memory::give_back();
        for (name, value) in numbers {
            loader.override_global(name, value, true);
        }
        loader
            .override_global("AGENT_PID", &agent_pid, true)
            .override_global("TICK_NS", &tick_ns, true)
            .override_global("CAPTURE_BYTES", &config.kernel.capture_bytes_max, true)
            .override_global("EXCLUDES", &excludes, true)
            .override_global("READS_KERNEL", &reads_kernel, true)
            .map_max_entries("EXCLUDED", excluded_max)
            .map_max_entries("LOSSES", cpus)
            .map_max_entries("RING", config.kernel.ring_bytes)
            .map_max_entries("DATAGRAMS", config.kernel.datagram_processes_max)
            .map_max_entries("SLOTS", connections_max)
            .map_max_entries("FREE_SLOTS", connections_max);
        if self == Self::Fallback {
            loader
                .map_max_entries("MARKS", 2 * connections_max)
                .map_max_entries("USES", connections_max);
        }
        loader
            .load(bytes)
            .map_err(|error| ProbeError::Load(refusal().unwrap_or_else(|| chain(&error))))
    }
}

/// Why the kernel takes no program at all, if it does not: aya then believes that the kernel knows nothing, and says
/// something else.
fn refusal() -> Option<String> {
    let refused = is_program_supported(ProgramType::RawTracePoint).err()?;
    Some(format!(
        "the kernel refuses every program: {}",
        chain(&refused)
    ))
}
