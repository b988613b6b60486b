//! Tells the programs which architecture's kernel they are for (`bpf_target_arch`), as `aya-ebpf` finds it out.

fn main() -> aya_build::Result<()> {
    aya_build::emit_bpf_target_arch_cfg()
}
