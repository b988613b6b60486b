//! What the programs have to know of the running kernel: offsets, enumerators, arities, the length of its tick.

use super::{ALL, LENDS_STORAGE, ProbeError};
use crate::kernel_btf::KernelBtf;
use rustix::time::{ClockId, clock_getres};
use sockmeter_abi::{field::ABSENT, kernel_arities, kernel_enumerators, kernel_fields};
use std::collections::HashSet;

/// Nanoseconds of the kernel's tick (1/CONFIG_HZ): the coarse clocks go on once a tick.
pub(super) fn tick_ns() -> u64 {
    let tick = clock_getres(ClockId::MonotonicCoarse);
    u64::try_from(tick.tv_nsec).unwrap_or(0)
}

/// Fields that the programs do without, or with another one, where a kernel has them not, or as bits.
const OPTIONAL: &[&str] = &[
    "SOCK_LOCAL_V6",
    "SOCK_REMOTE_V6",
    "SOCK_USER_LOCKS",
    "TCP_CLOCK_NS",
    "TCP_UPPER_LAYER",
    "LAST_DATA_TICKS",
    "UDP_SEGMENT_BYTES",
    "MESSAGE_ITER_KIND",
    "MESSAGE_ITER_TYPE",
    "MESSAGE_ITER_BUFFER",
];

/// Every kernel name that is looked up.
pub(super) fn wanted() -> HashSet<String> {
    let mut names: HashSet<String> = HashSet::new();
    macro_rules! fields {
        ($($name:ident: $size:literal, $owner:literal, $paths:literal;)*) => {
            $(names.insert($owner.to_owned());)*
        };
    }
    macro_rules! enumerators {
        ($($name:ident: $owner:literal, $enumerator:literal;)*) => {
            $(names.insert($owner.to_owned());)*
        };
    }
    macro_rules! arities {
        ($($name:ident: $function:literal;)*) => { $(names.insert($function.to_owned());)* };
    }
    kernel_fields!(fields);
    kernel_enumerators!(enumerators);
    kernel_arities!(arities);
    for family in ALL {
        let programs = family.all_programs();
        names.extend(programs.map(|program| program.attach.type_name()));
    }
    names.insert(LENDS_STORAGE.to_owned());
    names
}

/// The values of the frozen globals that depend on the kernel.
pub(super) fn resolve(btf: &KernelBtf) -> Result<Vec<(&'static str, u32)>, ProbeError> {
    let mut numbers = Vec::new();
    macro_rules! fields {
        ($($name:ident: $size:literal, $owner:literal, $paths:literal;)*) => {
            $({
                let member = btf.member($owner, $paths);
                if member.is_none() && !OPTIONAL.contains(&stringify!($name)) {
                    return Err(ProbeError::FieldMissing {
                        field: format!("{}.{}", $owner, $paths),
                    });
                }
                if let Some(member) = member && member.size_bytes != $size {
                    return Err(ProbeError::FieldSize {
                        field: format!("{}.{}", $owner, $paths),
                        found: member.size_bytes,
                        expected: $size,
                    });
                }
                numbers.push((stringify!($name), member.map_or(ABSENT, |member| member.offset_bytes)));
            })*
        };
    }
    macro_rules! enumerators {
        ($($name:ident: $owner:literal, $enumerator:literal;)*) => {
            $(numbers.push((stringify!($name), btf.enumerator($owner, $enumerator).unwrap_or(ABSENT)));)*
        };
    }
    macro_rules! arities {
        ($($name:ident: $function:literal;)*) => {
            $(numbers.push((stringify!($name), btf.arity($function).unwrap_or(ABSENT)));)*
        };
    }
    kernel_fields!(fields);
    kernel_enumerators!(enumerators);
    kernel_arities!(arities);
    Ok(numbers)
}
