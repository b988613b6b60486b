//! The metrics whose labels are words of the program itself.

use super::catalogue::named;
use super::counted::add;
use super::family::{Family, Key, Place, RowPlace};
use super::histogram::Bounds;
use super::labels::{Word, Words, push_label};
use super::process::{Owner, Process};
use crate::connections::{Direction, Role};
use crate::protocol::Method;
use crate::records::Transport;
use std::sync::Arc;

/// The values of the metric's own labels, in the catalogue's order; "" where it has fewer.
pub(super) type PlainLabels = [&'static str; 3];

/// An owner and the values of the own labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PlainKey {
    owner: u64,
    words: [Word; 3],
}

impl Key for PlainKey {
    fn owner(&self) -> u64 {
        self.owner
    }
}

/// One metric with such labels.
pub(super) type PlainFamily = Family<PlainKey>;

impl PlainFamily {
    /// Adds to a counter.
    pub(super) fn add(
        &mut self,
        words: &mut Words,
        owner: &Arc<Owner>,
        labels: PlainLabels,
        n: u64,
    ) {
        self.put(words, owner, labels, |row| add(row, n));
    }

    /// Adds an observation to a histogram; `place` is where the last one with these labels went.
    pub(super) fn observe(
        &mut self,
        place: &mut Option<RowPlace>,
        words: &mut Words,
        owner: &Arc<Owner>,
        labels: PlainLabels,
        bounds: &Bounds,
        value_ns: u64,
    ) {
        if let Some(row) = place.and_then(|place| self.row_at(place)) {
            return bounds.observe(row, value_ns);
        }
        *place = self.put(words, owner, labels, |row| bounds.observe(row, value_ns));
    }

    /// Lets `observe` put something into the row of these labels, and tells where their series stands.
    pub(super) fn put(
        &mut self,
        words: &mut Words,
        owner: &Arc<Owner>,
        labels: PlainLabels,
        observe: impl FnOnce(&mut [u64]),
    ) -> Option<RowPlace> {
        let key = key(words, owner, labels);
        let (row, place) = self.plain_row(key, owner, labels);
        observe(row);
        place
    }

    fn plain_row(
        &mut self,
        key: PlainKey,
        owner: &Arc<Owner>,
        labels: PlainLabels,
    ) -> (&mut [u64], Option<RowPlace>) {
        let names = self.metric().labels;
        self.row(&key, owner, |out| {
            for (name, value) in names.iter().zip(labels) {
                push_label(out, name, value);
            }
        })
    }
}

fn key(words: &mut Words, owner: &Owner, labels: PlainLabels) -> PlainKey {
    PlainKey {
        owner: owner.number,
        words: labels.map(|label| words.number(label)),
    }
}

/// The gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gauge {
    HttpServerRequests(Method),
    HttpClientRequests(Method),
    Connections(Role, Transport),
    PendingBytes(Direction),
}

impl Gauge {
    fn labels(self) -> PlainLabels {
        match self {
            Self::HttpServerRequests(method) | Self::HttpClientRequests(method) => {
                [method.label(), "", ""]
            }
            Self::Connections(role, transport) => [role.label(), transport.label(), ""],
            Self::PendingBytes(direction) => [direction.label(), "", ""],
        }
    }
}

/// What one process has in gauges, and where. What once went to the overflow row goes there for the rest
/// of the process's life, also when room has come up, so that ups and downs meet; and what a
/// process leaves standing is taken back when it is forgotten.
#[derive(Debug, Default)]
pub(super) struct Gauges(Vec<Standing>);

#[derive(Debug)]
struct Standing {
    gauge: Gauge,
    key: PlainKey,
    place: Place,
    /// Where its own series stood last.
    row: Option<RowPlace>,
    value: i64,
}

/// All metrics of this kind.
pub(super) struct Plain {
    pub(super) http_server_requests: PlainFamily,
    pub(super) http_client_requests: PlainFamily,
    pub(super) queue: PlainFamily,
    pub(super) first_byte: PlainFamily,
    pub(super) unanswered: PlainFamily,
    pub(super) unpaired: PlainFamily,
    pub(super) connections: PlainFamily,
    pub(super) opened: PlainFamily,
    pub(super) failed: PlainFamily,
    pub(super) adopted: PlainFamily,
    pub(super) connect: PlainFamily,
    pub(super) socket_bytes: PlainFamily,
    pub(super) datagrams: PlainFamily,
    pub(super) retransmits: PlainFamily,
    pub(super) payload: PlainFamily,
    pub(super) pending: PlainFamily,
    pub(super) records_lost: PlainFamily,
}

impl Plain {
    pub(super) fn new(series_max: usize, bounds: &Bounds) -> Self {
        let family = |metric| Family::new(metric, series_max, bounds);
        Self {
            http_server_requests: family(const { named("http_server_active_requests") }),
            http_client_requests: family(const { named("http_client_active_requests") }),
            queue: family(const { named("sockmeter_request_queue_seconds") }),
            first_byte: family(const { named("sockmeter_request_first_byte_seconds") }),
            unanswered: family(const { named("sockmeter_requests_unanswered_total") }),
            unpaired: family(const { named("sockmeter_requests_unpaired_total") }),
            connections: family(const { named("sockmeter_connections_active") }),
            opened: family(const { named("sockmeter_connections_opened_total") }),
            failed: family(const { named("sockmeter_connections_failed_total") }),
            adopted: family(const { named("sockmeter_connections_adopted_total") }),
            connect: family(const { named("sockmeter_connect_duration_seconds") }),
            socket_bytes: family(const { named("sockmeter_socket_bytes_total") }),
            datagrams: family(const { named("sockmeter_socket_datagrams_total") }),
            retransmits: family(const { named("sockmeter_tcp_retransmits_total") }),
            payload: family(const { named("sockmeter_payload_bytes_total") }),
            pending: family(const { named("sockmeter_payload_pending_bytes") }),
            records_lost: family(const { named("sockmeter_records_lost_total") }),
        }
    }

    /// All families, for what is done to each.
    pub(super) fn each_mut(&mut self) -> [&mut PlainFamily; 17] {
        // Every field by name, so that the compiler asks for a new one here.
        let Self {
            http_server_requests,
            http_client_requests,
            queue,
            first_byte,
            unanswered,
            unpaired,
            connections,
            opened,
            failed,
            adopted,
            connect,
            socket_bytes,
            datagrams,
            retransmits,
            payload,
            pending,
            records_lost,
        } = self;
        [
            http_server_requests,
            http_client_requests,
            queue,
            first_byte,
            unanswered,
            unpaired,
            connections,
            opened,
            failed,
            adopted,
            connect,
            socket_bytes,
            datagrams,
            retransmits,
            payload,
            pending,
            records_lost,
        ]
    }

    fn gauge_mut(&mut self, gauge: Gauge) -> &mut PlainFamily {
        match gauge {
            Gauge::HttpServerRequests(_) => &mut self.http_server_requests,
            Gauge::HttpClientRequests(_) => &mut self.http_client_requests,
            Gauge::Connections(..) => &mut self.connections,
            Gauge::PendingBytes(_) => &mut self.pending,
        }
    }

    /// Moves a gauge of `process` by `delta`.
    #[inline]
    pub(super) fn shift(
        &mut self,
        words: &mut Words,
        process: &mut Process,
        gauge: Gauge,
        delta: i64,
    ) {
        let Gauges(standing) = &mut process.gauges;
        if let Some(known) = standing.iter_mut().find(|known| known.gauge == gauge)
            && let Some(row) = known
                .row
                .and_then(|place| self.gauge_mut(gauge).row_at(place))
        {
            known.value = known.value.wrapping_add(delta);
            return shift(row, delta);
        }
        self.find_and_shift(words, process, gauge, delta);
    }

    /// The same where it is not known where the series stands.
    #[cold]
    fn find_and_shift(
        &mut self,
        words: &mut Words,
        process: &mut Process,
        gauge: Gauge,
        delta: i64,
    ) {
        let Process {
            owner,
            gauges: Gauges(standing),
            ..
        } = process;
        let family = self.gauge_mut(gauge);
        let Some(known) = standing.iter_mut().find(|known| known.gauge == gauge) else {
            let labels = gauge.labels();
            let key = key(words, owner, labels);
            let (own, row) = family.plain_row(key, owner, labels);
            shift(own, delta);
            standing.push(Standing {
                gauge,
                key,
                place: row.into(),
                row,
                value: delta,
            });
            return;
        };
        known.value = known.value.wrapping_add(delta);
        match known.place {
            Place::Overflow => shift(family.overflow_row(), delta),
            Place::Own => {
                let (own, row) = family.plain_row(known.key, owner, gauge.labels());
                shift(own, delta);
                known.row = row;
            }
        }
    }

    /// Takes back what forgotten processes have left in gauges.
    pub(super) fn take_back(&mut self, gauges: Gauges) {
        for Standing {
            gauge,
            key,
            place,
            row: _,
            value,
        } in gauges.0
        {
            if let Some(row) = self.gauge_mut(gauge).existing_row(&key, place) {
                shift(row, value.wrapping_neg());
            }
        }
    }
}

/// Gauges are kept in two's complement.
fn shift(row: &mut [u64], delta: i64) {
    if let Some(value) = row.first_mut() {
        *value = value.wrapping_add_signed(delta);
    }
}
