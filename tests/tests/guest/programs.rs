//! Servers as Debian ships them, before their own logs and curl's account. The script is `tests/guest/programs.sh`.

pub(crate) mod account;
mod loads;
pub(crate) mod step;
mod table;

use self::account::{Requests, requests};
use self::step::{CLIENT, SERVER, Step};

fn step(name: &'static str) -> Step {
    Step::of("programs", name)
}

const MILLISECOND: f64 = 1e-3;
const MICROSECOND: f64 = 1e-6;

#[test]
fn nginx_agrees() {
    let mut step = step("nginx");
    step.agrees_with_curl("nginx");
    step.agrees_with_logged_bytes("nginx");
    step.uploads_took_as_logged("nginx", 1.0);
    step.is_settled("nginx");
    let opened = step.connections("nginx", "server");
    step.checks.equal("connections", opened, [5.0, 0.0]);
}

/// nginx's account of the servers behind it: bytes received, bytes sent.
fn behind_nginx(step: &Step) -> [f64; 2] {
    let account = step.account("nginx");
    [1, 2].map(|at| {
        account
            .iter()
            .filter_map(|line| line.more[at].parse::<f64>().ok())
            .sum()
    })
}

#[test]
fn gunicorn_behind_nginx_is_a_server_and_nginx_its_client() {
    for (name, asked, connections) in [("nginx", 5.0, 5.0), ("nginx-kept", 35.0, 20.0)] {
        let mut step = step(name);
        let served = step.counted("gunicorn-threads", SERVER);
        step.checks.equal("requests", served.values().sum(), asked);
        let passed_on = step.counted("nginx", CLIENT);
        step.checks.equal("nginx's requests", &served, &passed_on);
        let account = requests(&step.account("gunicorn-threads"));
        step.checks.equal("gunicorn's account", &served, &account);
        let [received, sent] = behind_nginx(&step);
        for (direction, want, other) in [
            ("receive", received, "transmit"),
            ("transmit", sent, "receive"),
        ] {
            let got = step.bytes("nginx", "client", direction);
            step.checks
                .equal(&format!("{name}, {direction}"), got, want);
            let got = step.bytes("gunicorn-threads", "server", other);
            step.checks.equal(&format!("gunicorn, {other}"), got, want);
        }
        // Of those that are kept, how many are made is nginx's affair.
        let opened = step.connections("nginx", "client");
        let accepted = step.connections("gunicorn-threads", "server");
        step.checks.equal("connections", opened, accepted);
        let [opened, adopted] = opened;
        step.checks.equal("adopted", adopted, 0.0);
        step.checks.between("opened", opened, 1.0, connections);
    }
}

#[test]
fn nginx_keeps_connections_to_gunicorn_and_agrees() {
    let mut step = step("nginx-kept");
    step.agrees_with_curl("nginx");
    step.agrees_with_logged_bytes("nginx");
    step.uploads_took_as_logged("nginx", 1.0);
    step.is_settled("nginx");
}

#[test]
fn php_fpm_behind_nginx_moves_unrecognised_bytes() {
    php_fpm_agrees("php-fpm");
}

#[test]
fn php_fpm_behind_nginx_on_a_unix_socket_does_as_well() {
    php_fpm_agrees("php-fpm-unix");
}

/// The account of php-fpm's pool is called as the step.
fn php_fpm_agrees(name: &'static str) {
    let mut step = step(name);
    step.agrees_with_curl("nginx");
    step.agrees_with_logged_bytes("nginx");
    step.is_settled("nginx");
    step.has_ended("php-fpm");
    let [received, sent] = behind_nginx(&step);
    for (direction, want, other) in [
        ("receive", received, "transmit"),
        ("transmit", sent, "receive"),
    ] {
        let got = step.bytes("nginx", "client", direction);
        step.checks.equal(&format!("nginx, {direction}"), got, want);
        let got = step.bytes("php-fpm", "server", other);
        step.checks.equal(&format!("php-fpm, {other}"), got, want);
        // Of the connections from an accept that began before the agent, the bytes are lost.
        for (process, direction, others) in [
            ("nginx", direction, vec![]),
            ("php-fpm", other, vec!["lost"]),
        ] {
            let outcome = |outcome| {
                let labels = [("outcome", outcome), ("direction", direction)];
                step.rise(process, "sockmeter_payload_bytes_total", &labels)
            };
            // nginx's other bytes are its clients'.
            let got: f64 = others
                .into_iter()
                .chain(["unrecognised"])
                .map(outcome)
                .sum();
            let what = format!("{process}, {direction}, unrecognised");
            step.checks.equal(&what, got, want);
        }
    }
    // PHP was asked for all but what nginx did not find.
    let account = step.account(name).len() as f64;
    step.checks.equal("php-fpm's account", account, 35.0);
    let accepted: f64 = step.connections("php-fpm", "server").iter().sum();
    step.checks
        .equal("php-fpm's connections", accepted, account);
    let opened = step.connections("nginx", "client");
    step.checks
        .equal("nginx's connections to it", opened, [account, 0.0]);
    step.checks
        .equal("requests", step.counted("php-fpm", SERVER), Requests::new());
}

#[test]
fn apache_prefork_agrees() {
    let mut step = step("apache-prefork");
    step.agrees_with_curl("apache-prefork");
    step.agrees_with_apaches_bytes("apache-prefork");
    step.uploads_took_as_logged("apache-prefork", MICROSECOND);
    step.is_settled("apache-prefork");
    let accepted: f64 = step.connections("apache-prefork", "server").iter().sum();
    step.checks.equal("connections", accepted, 5.0);
}

#[test]
fn apache_event_agrees() {
    let mut step = step("apache-event");
    step.agrees_with_curl("apache-event");
    step.agrees_with_apaches_bytes("apache-event");
    step.uploads_took_as_logged("apache-event", MICROSECOND);
    step.is_settled("apache-event");
    let accepted = step.connections("apache-event", "server");
    step.checks.equal("connections", accepted, [5.0, 0.0]);
}

#[test]
fn lighttpd_agrees() {
    let mut step = step("lighttpd");
    step.agrees_with_curl("lighttpd");
    step.is_settled("lighttpd");
    let account = step.account("lighttpd");
    let sent: f64 = account.iter().filter_map(|line| line.sent).sum();
    let got = step.bytes("lighttpd", "server", "transmit");
    step.checks.equal("transmit, logged", got, sent);
    // Its log counts heads only, and the first request of a connection from accept on.
    let received: f64 = account.iter().filter_map(|line| line.received).sum();
    let labels = [("direction", "receive"), ("outcome", "parsed")];
    let got = step.rise("lighttpd", "sockmeter_payload_bytes_total", &labels);
    step.checks.equal("receive, logged", got, received);
}

#[test]
fn caddy_agrees() {
    let mut step = step("caddy");
    step.agrees_with_curl("caddy");
    step.uploads_took_as_logged("caddy", 1.0);
    step.is_settled("caddy");
    let asked = step.counted("caddy", CLIENT);
    let served = step.counted("gunicorn-threads", SERVER);
    step.checks.equal("what it asked gunicorn", &asked, &served);
    let account = requests(&step.account("gunicorn-threads"));
    step.checks.equal("gunicorn's account", &served, &account);
    step.checks
        .equal("requests to gunicorn", asked.values().sum(), 5.0);
    let accepted = step.connections("caddy", "server");
    step.checks.equal("connections", accepted, [5.0, 0.0]);
}

#[test]
fn gunicorn_with_threads_agrees() {
    let mut step = step("gunicorn-threads");
    step.agrees_with_curl("gunicorn-threads");
    step.uploads_took_as_logged("gunicorn-threads", 1.0);
    step.is_settled("gunicorn-threads");
}

#[test]
fn gunicorn_with_three_workers_agrees() {
    let mut step = step("gunicorn-sync");
    step.agrees_with_curl("gunicorn-sync");
    step.uploads_took_as_logged("gunicorn-sync", 1.0);
    step.is_settled("gunicorn-sync");
    // It closes every connection after one request.
    let accepted = step.connections("gunicorn-sync", "server");
    step.checks.equal("connections", accepted, [38.0, 0.0]);
}

#[test]
fn haproxy_agrees_as_a_server() {
    let mut step = step("haproxy");
    step.agrees_with_curl("haproxy");
    step.uploads_took_as_logged("haproxy", MILLISECOND);
    step.is_settled("haproxy");
    let accepted = step.connections("haproxy", "server");
    step.checks.equal("connections", accepted, [5.0, 0.0]);
}

#[test]
fn haproxy_agrees_as_a_client_of_nginx() {
    let mut step = step("haproxy");
    let asked = step.counted("haproxy", CLIENT);
    step.checks
        .equal("as it was asked", &asked, &step.counted("haproxy", SERVER));
    step.checks
        .equal("nginx's requests", &asked, &step.counted("nginx", SERVER));
    let account = requests(&step.account("nginx"));
    step.checks.equal("nginx's account", &asked, &account);
    step.agrees_with_logged_bytes("nginx");
    for (direction, other) in [("receive", "transmit"), ("transmit", "receive")] {
        let got = step.bytes("haproxy", "client", direction);
        let want = step.bytes("nginx", "server", other);
        step.checks.equal(direction, got, want);
    }
}

#[test]
fn what_haproxy_answers_by_itself_is_a_servers_only() {
    let mut step = step("haproxy-alone");
    let served = step.counted("haproxy", SERVER);
    let account = requests(&step.account("haproxy"));
    step.checks.equal("requests", &served, &account);
    let statuses: Vec<&str> = served.keys().map(|(_, status)| status.as_str()).collect();
    step.checks.equal("statuses", statuses, vec!["403", "503"]);
    step.checks.equal(
        "requests to others",
        step.counted("haproxy", CLIENT),
        Requests::new(),
    );
    let refused = step.rise(
        "haproxy",
        "sockmeter_connections_failed_total",
        &[("error_type", "refused")],
    );
    step.checks.equal("refused connects", refused, 1.0);
    step.is_settled("haproxy");
}

#[test]
fn nginx_says_502_when_nobody_is_behind_it() {
    let mut step = step("nginx-gone");
    let served = step.counted("nginx", SERVER);
    let account = requests(&step.account("nginx"));
    step.checks.equal("requests", &served, &account);
    let want = Requests::from([(("GET".to_owned(), "502".to_owned()), 2.0)]);
    step.checks.equal("statuses", &served, &want);
    step.checks.equal(
        "requests to others",
        step.counted("nginx", CLIENT),
        Requests::new(),
    );
    let refused = step.rise(
        "nginx",
        "sockmeter_connections_failed_total",
        &[("error_type", "refused")],
    );
    step.checks.equal("refused connects", refused, 2.0);
    step.is_settled("nginx");
}
