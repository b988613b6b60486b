//! Services and what they have done: the same series for each of the libraries that are compared.

use sockmeter::series::DURATION_BUCKETS_SECONDS;

/// Routes of a service, each with one method and one status.
const ROUTES: [(&str, &str, u16); 20] = [
    ("/", "GET", 200),
    ("/health", "GET", 200),
    ("/login", "POST", 303),
    ("/logout", "POST", 303),
    ("/account", "GET", 200),
    ("/account/orders", "GET", 200),
    ("/account/orders/{id}", "GET", 200),
    ("/account/orders/{id}", "GET", 404),
    ("/basket", "GET", 200),
    ("/basket/items", "POST", 201),
    ("/basket/items/{id}", "DELETE", 204),
    ("/catalogue", "GET", 200),
    ("/catalogue/{id}", "GET", 200),
    ("/catalogue/{id}", "GET", 404),
    ("/catalogue/{id}/reviews", "GET", 200),
    ("/catalogue/{id}/reviews", "POST", 201),
    ("/checkout", "POST", 303),
    ("/checkout/payment", "POST", 500),
    ("/search", "GET", 200),
    ("/static/app.js", "GET", 304),
];
/// Lines of one histogram: its buckets, the one without a bound, the sum and the count.
const HISTOGRAM_LINES: usize = DURATION_BUCKETS_SECONDS.len() + 3;
/// Lines of a service: a histogram for each route and two for all, and eight counters and gauges.
pub const SERVICE_LINES: usize = (ROUTES.len() + 2) * HISTOGRAM_LINES + 8;
/// Durations that each histogram has seen.
const OBSERVATIONS: u64 = 8;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its process labels, as the agent makes them.
    pub labels: [(&'static str, String); 3],
}

/// Some requests of one service that share all labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    /// Their route.
    pub route: &'static str,
    /// Their method.
    pub method: &'static str,
    /// Their answers' status.
    pub status: u16,
    /// The number of their label set.
    pub number: u64,
}

/// As many services as are needed for `lines` lines of a scrape, at least one.
pub fn services(lines: usize) -> Vec<Service> {
    let service = |at: usize| {
        let labels = [
            ("service_name", format!("shop-{}", at / 4)),
            ("process_executable_name", "shop".to_owned()),
            ("process_pid", (10_000 + at).to_string()),
        ];
        Service { labels }
    };
    (0..(lines / SERVICE_LINES).max(1)).map(service).collect()
}

impl Service {
    /// The values of its labels.
    pub fn values(&self) -> [&str; 3] {
        self.labels.each_ref().map(|(_, value)| value.as_str())
    }
}

/// What every service was asked.
pub fn requests() -> impl Iterator<Item = Requests> {
    ROUTES.into_iter().zip(0..).map(|(requests, number)| {
        let (route, method, status) = requests;
        Requests {
            route,
            method,
            status,
            number,
        }
    })
}

impl Requests {
    /// How long they took, in nanoseconds.
    pub fn durations_ns(&self) -> impl Iterator<Item = u64> {
        let base_ns = 137_000 * (self.number + 1);
        (0..OBSERVATIONS).map(move |at| base_ns << at)
    }
}
