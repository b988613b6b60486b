//! Values that need more than a type: each refusal says what to write instead.

use super::ProcessLabel;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::net::SocketAddr;

/// Bounds of one histogram: more would multiply every series by more than a dashboard can use.
pub const BUCKETS_MAX: usize = 64;

/// Processors that the agent may be limited to: less would not do for a scrape, more is no limit.
const CORES_MIN: f64 = 0.01;
const CORES_MAX: f64 = 1024.0;

// Wide, because the const parameters of `within` are compared with what TOML holds: 64-bit integers.
const RING_BYTES_MIN: i64 = 4096;
const RING_BYTES_MAX: i64 = 1 << 30;
pub(super) const CAPTURE_BYTES_MAX: i64 = sockmeter_abi::CAPTURE_BYTES_MAX as i64;

/// Reads `ADDRESS:PORT`, or `:PORT` for all addresses. Host names are refused: what they mean changes.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    full.parse().map_err(|_| {
        format!("{text:?} is not an address and port; write 127.0.0.1:9435, [::1]:9435 or :9435 for all addresses")
    })
}

pub(super) fn listen<'de, D: Deserializer<'de>>(input: D) -> Result<SocketAddr, D::Error> {
    parse_listen(&String::deserialize(input)?).map_err(D::Error::custom)
}

/// Names of programs that are not measured, at most: each is compared with each new program.
pub const EXCLUDE_MAX: usize = 256;

/// Reads the name of a program that is not measured.
pub fn parse_excluded(name: &str) -> Result<String, String> {
    if name.is_empty() {
        Err("the name is empty; write the name of a service or executable, or its path".to_owned())
    } else {
        Ok(name.to_owned())
    }
}

pub(super) fn exclude<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(input)?;
    let count = names.len();
    if count > EXCLUDE_MAX {
        return Err(D::Error::custom(format!(
            "{count} names; use up to {EXCLUDE_MAX}"
        )));
    }
    let names = names.iter().map(|name| parse_excluded(name));
    names.collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Reads a number of processors.
pub fn parse_cores(text: &str) -> Result<f64, String> {
    let cores = text.trim().parse().map_err(|_| {
        format!("{text:?} is not a number of processors; write 1, or 0.5 for half of one")
    })?;
    check_cores(cores)
}

fn check_cores(cores: f64) -> Result<f64, String> {
    if (CORES_MIN..=CORES_MAX).contains(&cores) {
        Ok(cores)
    } else {
        Err(format!(
            "{cores} is out of range; use {CORES_MIN} to {CORES_MAX}"
        ))
    }
}

pub(super) fn cores<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    check_cores(f64::deserialize(input)?).map_err(D::Error::custom)
}

pub(super) fn within<'de, D: Deserializer<'de>, const MIN: i64, const MAX: i64>(
    input: D,
) -> Result<u32, D::Error> {
    let value = i64::deserialize(input)?;
    u32::try_from(value)
        .ok()
        .filter(|_| (MIN..=MAX).contains(&value))
        .ok_or_else(|| D::Error::custom(format!("{value} is out of range; use {MIN} to {MAX}")))
}

pub(super) fn ring_bytes<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    let value = within::<D, RING_BYTES_MIN, RING_BYTES_MAX>(input)?;
    if value.is_power_of_two() {
        return Ok(value);
    }
    // Not a power of two and within limits that are: both neighbours are within them too.
    let above = value.next_power_of_two();
    let below = above / 2;
    Err(D::Error::custom(format!(
        "{value} is not a power of two; use {below} or {above}"
    )))
}

pub(super) fn buckets<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f64>, D::Error> {
    let bounds = Vec::<f64>::deserialize(input)?;
    let count = bounds.len();
    if count == 0 || count > BUCKETS_MAX {
        return Err(D::Error::custom(format!(
            "{count} bounds; use 1 to {BUCKETS_MAX}"
        )));
    }
    let mut before = 0.0;
    for &bound in &bounds {
        if !bound.is_finite() || bound <= 0.0 {
            return Err(D::Error::custom(format!(
                "{bound} is not a number above zero; +Inf is always added"
            )));
        }
        if bound <= before {
            return Err(D::Error::custom(format!(
                "{bound} after {before}; each bound must be above the one before"
            )));
        }
        before = bound;
    }
    Ok(bounds)
}

pub(super) fn labels<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<ProcessLabel>, D::Error> {
    let labels = Vec::<ProcessLabel>::deserialize(input)?;
    let twice = labels
        .iter()
        .enumerate()
        .find(|(at, label)| labels.iter().take(*at).any(|one| one == *label));
    match twice {
        Some((_, label)) => Err(D::Error::custom(format!(
            "{} is listed twice",
            label.as_str()
        ))),
        None => Ok(labels),
    }
}
