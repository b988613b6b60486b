//! A security module for tests: refuses to load programs, as SELinux's policy or another module may.
//!
//! It is an object of its own, for the scenario `host` (Linux 5.7, `CONFIG_BPF_LSM` and `bpf` among the security modules);
//! the agent never loads it.

#![no_std]
#![no_main]

mod object;

use aya_ebpf::{
    Global, bindings::bpf_attr, helpers::bpf_probe_read_kernel, macros::lsm, programs::LsmContext,
};

/// Programs of which `enum bpf_attach_type` are refused; of all, if it is [`EVERY`]. Set by the loader.
#[unsafe(no_mangle)]
static REFUSED: Global<u32> = Global::new(EVERY);

/// No attach type has that number.
const EVERY: u32 = u32::MAX;
/// Of `enum bpf_cmd`.
const BPF_PROG_LOAD: i32 = 5;
const EPERM: i32 = 1;

/// Arguments: the command, its attributes, their size (`security_bpf`).
#[lsm(hook = "bpf")]
pub fn refuse_load(ctx: LsmContext) -> i32 {
    if ctx.arg::<i32>(0) != BPF_PROG_LOAD {
        return 0;
    }
    let attributes: *const bpf_attr = ctx.arg(1);
    // SAFETY: the helper checks the address and fails on a bad one.
    let attributes = unsafe {
        bpf_probe_read_kernel(&raw const (*attributes).__bindgen_anon_3.expected_attach_type)
    };
    let refused = REFUSED.load();
    if refused == EVERY || attributes == Ok(refused) {
        -EPERM
    } else {
        0
    }
}
