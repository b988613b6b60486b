//! What the programs have to know of the running kernel: offsets, enumerators, arities, the length of its tick.

use super::{ALL, ProbeError};
use crate::kernel_btf::KernelBtf;
use rustix::time::{ClockId, clock_getres};
use sockmeter_abi::{field::ABSENT, kernel_arities, kernel_enumerators, kernel_fields};
use std::collections::HashSet;

/// Nanoseconds of the kernel's tick (1/CONFIG_HZ): the coarse clocks go on once a tick.
pub(super) fn tick_ns() -> u64 {
    let tick = clock_getres(ClockId::MonotonicCoarse);
    u64::try_from(tick.tv_nsec).unwrap_or(0)
}

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
    for program in ALL.iter().flat_map(|family| family.programs) {
        names.insert(program.attach.type_name());
    }
    names
}

/// The values of the frozen globals that depend on the kernel.
pub(super) fn resolve(btf: &KernelBtf) -> Result<Vec<(&'static str, u32)>, ProbeError> {
    let mut numbers = Vec::new();
    macro_rules! fields {
        ($($name:ident: $size:literal, $owner:literal, $paths:literal;)*) => {
            $({
                let member = btf.member($owner, $paths);
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
