//! The running kernel, as far as it decides which programs can be had, and how.

use super::{
    ALL, Family, LENDS_STORAGE, ProbeError, adoption, chain, datagrams, listeners, numbers,
    way::Way,
};
use crate::{
    host::lockdown::Lockdown,
    kernel_btf::{KernelBtf, SYSTEM_PATH},
    memory,
};
use aya::{Btf, Endianness};
use std::{collections::HashSet, path::Path};

/// What of the kernel programs can be attached to; only until they are.
pub(super) struct Kernel {
    /// Values of the frozen globals.
    pub(super) numbers: Vec<(&'static str, u32)>,
    /// Functions and tracepoints, as the kernel's types call them.
    pub(super) names: HashSet<String>,
    /// The kernel's types with these names, as BTF.
    pub(super) outline: Btf,
    /// Whether it lends programs the storage and the cookie of a socket (5.12).
    pub(super) lends_storage: bool,
    /// Whether these types are its own, so that programs can be attached by them.
    pub(super) shows_types: bool,
    pub(super) lockdown: Lockdown,
}

impl Kernel {
    /// Its own types or, where it shows none, those of a file.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, ProbeError> {
        let own = Path::new(SYSTEM_PATH);
        let shows_types = own.exists();
        let path = match file {
            Some(file) if !shows_types => file,
            _ => own,
        };
        let btf = KernelBtf::open(path, &numbers::wanted())?;
        let programs = ALL.iter().flat_map(|family| family.all_programs());
        let found = programs.filter(|program| program.attach.exists(&btf));
        let kernel = Self {
            numbers: numbers::resolve(&btf)?,
            names: found.map(|program| program.attach.type_name()).collect(),
            outline: Btf::parse(&btf.outline(), Endianness::default())
                .map_err(|error| ProbeError::Load(chain(&error)))?,
            lends_storage: btf.has_function(LENDS_STORAGE),
            shows_types,
            lockdown: Lockdown::read(),
        };
        drop(btf);
        memory::give_back();
        Ok(kernel)
    }

    /// Whether programs can be attached in a way at all.
    pub(super) fn allows(&self, way: Way) -> bool {
        match way {
            Way::Fentry => self.shows_types,
            Way::Kprobe | Way::Tracepoint => self.lockdown.lets_read(),
        }
    }

    /// Why no way that is wanted is left.
    pub(super) fn forbids(&self) -> &'static str {
        if !self.lockdown.lets_read() {
            "kernel lockdown (confidentiality) lets programs read kernel memory only by its types: that needs fentry, and Linux 5.12"
        } else {
            "the kernel shows no types of its own (/sys/kernel/btf/vmlinux), which fentry needs"
        }
    }

    /// Why a family would be wrong, or is not to be had, whatever the way.
    pub(super) fn keeps_off(&self, family: &Family) -> Option<&'static str> {
        let reads = [datagrams::FAMILY.name, listeners::FAMILY.name];
        if !self.lockdown.lets_read() && reads.contains(&family.name) {
            return Some(
                "kernel lockdown (confidentiality) lets no program read kernel memory by address",
            );
        }
        (!self.shows_types && family.name == adoption::FAMILY.name)
            .then_some("a walk needs the kernel's own types, and it shows none")
    }
}
