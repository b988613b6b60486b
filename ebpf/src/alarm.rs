//! Alarm: an agent that has found nothing for a while sleeps long, and says so. The first record then sets a timer, which
//! wakes it: no program wakes it itself, and while it is awake nothing here happens.

use aya_ebpf::{
    Global,
    bindings::{BPF_RB_FORCE_WAKEUP, bpf_timer},
    btf_maps,
    helpers::{bpf_timer_init, bpf_timer_set_callback, bpf_timer_start},
    macros::{btf_map, map, socket_filter},
    maps::{Array, RingBuf},
    programs::SkBuffContext,
};
use core::{ffi::c_void, ptr};

/// From the first record to the agent's look, as long as between two looks of an agent that is awake. Zero where the
/// kernel has no timers (before 5.15) or the agent does not sleep long.
#[unsafe(no_mangle)]
static ALARM_NS: Global<u64> = Global::new(0);

/// `CLOCK_MONOTONIC`, as `bpf_timer_init` takes it.
const MONOTONIC: u64 = 1;

/// The kernel finds the timer by its type.
#[repr(C)]
struct Alarm {
    timer: bpf_timer,
}

#[btf_map]
static ALARM: btf_maps::Array<Alarm, 1> = btf_maps::Array::new();

/// Not zero: the agent sleeps until it is woken. It sets this, the first record clears it.
#[map]
static ASLEEP: Array<u32> = Array::with_max_entries(1, 0);

/// What wakes the agent. Not the ring of records, which may be full by then.
#[map]
static BELL: RingBuf = RingBuf::with_byte_size(4096, 0);

/// A record was written, or found no room.
#[inline(always)]
pub fn notice() {
    let delay_ns = ALARM_NS.load();
    if delay_ns == 0 {
        return;
    }
    let Some(asleep) = ASLEEP.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a live map value; volatile, because the agent writes it. Two programs that both see it set the
    // timer twice, which is once.
    unsafe {
        if asleep.read_volatile() == 0 {
            return;
        }
        asleep.write_volatile(0);
    }
    if let Some(alarm) = ALARM.get_ptr_mut(0) {
        // SAFETY: a live map value with a timer, as the verifier checks.
        unsafe { bpf_timer_start(&raw mut (*alarm).timer, delay_ns, 0) };
    }
}

/// Makes the timer. The agent runs it once, on a packet of its own; it is attached to no socket.
#[socket_filter]
pub fn alarm_begin(_packet: SkBuffContext) -> i64 {
    let Some(alarm) = ALARM.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: a live map value with a timer, as the verifier checks.
    unsafe {
        let timer = &raw mut (*alarm).timer;
        let map = ptr::addr_of!(ALARM).cast_mut().cast();
        if bpf_timer_init(timer, map, MONOTONIC) != 0 {
            return 0;
        }
        let callback: unsafe extern "C" fn(*mut c_void, *mut u32, *mut Alarm) -> i32 = wake;
        i64::from(bpf_timer_set_callback(timer, callback as *mut c_void) == 0)
    }
}

/// Runs when the timer is due, in no process's name.
unsafe extern "C" fn wake(_map: *mut c_void, _key: *mut u32, _alarm: *mut Alarm) -> i32 {
    if let Some(entry) = BELL.reserve::<u64>(0) {
        // Thrown away, which wakes just as well.
        entry.discard(u64::from(BPF_RB_FORCE_WAKEUP));
    }
    0
}
