//! The alarm: lets the agent sleep until something happens, however long that is; agent's half of `ebpf/src/alarm.rs`.

#![allow(
    unsafe_code,
    reason = "waiting for a descriptor that something else owns"
)]

use super::maps::{MapError, refused, take};
use aya::{
    Ebpf,
    maps::{Array, MapData, RingBuf},
};
use std::{future, io};
use tokio::io::unix::AsyncFd;

const ASLEEP: &str = "ASLEEP";
const BELL: &str = "BELL";

/// Tells the kernel side that the agent sleeps.
pub struct Alarm {
    asleep: Array<MapData, u32>,
    bell: Option<RingBuf<MapData>>,
}

impl Alarm {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        Ok(Self {
            asleep: Array::try_from(take(ebpf, ASLEEP)?).map_err(refused(ASLEEP))?,
            bell: Some(RingBuf::try_from(take(ebpf, BELL)?).map_err(refused(BELL))?),
        })
    }

    /// What is heard when something happens; `None` the second time.
    ///
    /// # Errors
    /// The kernel cannot be asked to tell; a runtime must be there.
    pub fn bell(&mut self) -> io::Result<Option<Bell>> {
        let Some(bell) = self.bell.take() else {
            return Ok(None);
        };
        // SAFETY: the ring owns its descriptor, which stays the same and open until the ring is dropped.
        let bell = unsafe { AsyncFd::register(bell) };
        Ok(Some(Bell(bell?)))
    }

    /// From now on the next record rings the bell, once. What was written before this may not.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set(&mut self) -> Result<(), MapError> {
        self.asleep.set(0, 1, 0).map_err(refused(ASLEEP))
    }
}

/// What wakes the agent.
pub struct Bell(AsyncFd<RingBuf<MapData>>);

impl Bell {
    /// Waits until something happens.
    pub async fn rung(&mut self) {
        let Ok(mut guard) = self.0.readable_mut().await else {
            // The runtime is about to end.
            return future::pending().await;
        };
        // What rings it is thrown away by who wrote it; this takes it out.
        while guard.get_inner_mut().next().is_some() {}
        guard.clear_ready();
    }
}
