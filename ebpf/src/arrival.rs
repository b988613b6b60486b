//! Arrival: when the data came that a call receives.

use crate::{
    clock::{TICK_NS, ticks},
    kernel::{
        LAST_DATA_TICKS, Sock, TCP_CLOCK_NS, TCP_NEXT_SEQUENCE, TCP_READ_SEQUENCE, TcpSock, Typed,
        tcp,
    },
    watch::{self, Followed},
};

/// The earliest of the timers that read TCP's clock: that of delayed acknowledgements (`TCP_DELACK_MIN`).
const DELAYED_ACK_NS: u64 = 40_000_000;

/// A receive call begins: what waits now came when TCP's clock was last read. The call itself will read it again
/// (`tcp_rcv_space_adjust`).
#[inline(always)]
pub fn receive_begins(sock: Typed<Sock>) {
    let tcp = tcp(sock);
    if tcp.0.is_null() || !TCP_CLOCK_NS.present() {
        return;
    }
    // Nothing waits: nothing is noted either, as a call takes what one before it noted.
    if TCP_NEXT_SEQUENCE.load(tcp) == TCP_READ_SEQUENCE.load(tcp) {
        return;
    }
    if let Some(Followed { slot, .. }) = watch::followed(sock) {
        // SAFETY: a live map value.
        unsafe { (*slot).arrived_ns = TCP_CLOCK_NS.load(tcp) };
    }
}

/// When data last came into the socket; zero if that is not known. `waited_ns`: when what waited at the call's
/// beginning came, zero if nothing did.
///
/// TCP's clock is exact, but besides by packets it is read anew by timers. The kernel also keeps the tick of the last
/// data: where the two differ although a timer can have run, the tick is right. (Before, the tick is not to be
/// trusted: in a virtual machine that had to wait for its processor, ticks lag behind.)
#[inline(always)]
pub fn time_ns(tcp: Typed<TcpSock>, waited_ns: u64, now_ns: u64) -> u64 {
    if !TCP_CLOCK_NS.present() || !LAST_DATA_TICKS.present() {
        return 0;
    }
    let clock_ns = if waited_ns == 0 {
        // The process waited for the data.
        TCP_CLOCK_NS.load(tcp)
    } else {
        waited_ns
    };
    let tick_ns = TICK_NS.load();
    let age_ns = u64::from(ticks().wrapping_sub(LAST_DATA_TICKS.load(tcp))) * tick_ns;
    // Both ends of the age are cut to ticks, so it may be one less.
    if age_ns + tick_ns >= DELAYED_ACK_NS && clock_ns + age_ns > now_ns + tick_ns {
        now_ns - age_ns
    } else {
        clock_ns
    }
}
