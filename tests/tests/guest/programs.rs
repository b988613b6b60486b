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
    php_fpm_agrees("php-fpm", 0);
}

#[test]
fn php_fpm_behind_nginx_on_a_unix_socket_does_as_well() {
    php_fpm_agrees("php-fpm-unix", 2);
}

/// The account of php-fpm's pool is called as the step. `waiting`: how many of its workers wait in an accept of which
/// the return is not seen, at most; what moves on that connection is lost.
fn php_fpm_agrees(name: &'static str, waiting: u32) {
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
        let outcome = |process, outcome, direction| {
            let labels = [("outcome", outcome), ("direction", direction)];
            step.rise(process, "sockmeter_payload_bytes_total", &labels)
        };
        // nginx's other bytes are its clients'.
        let asked = outcome("nginx", "unrecognised", direction);
        let [answered, lost] = ["unrecognised", "lost"].map(|word| outcome("php-fpm", word, other));
        let what = format!("{direction}, unrecognised");
        step.checks
            .equal(&what, [asked, answered + lost], [want; 2]);
        if waiting == 0 {
            step.checks.equal(&format!("{other}, lost"), lost, 0.0);
        }
    }
    // PHP was asked for all but what nginx did not find.
    let account = step.account(name).len() as f64;
    step.checks.equal("php-fpm's account", account, 35.0);
    let [accepted, adopted] = step.connections("php-fpm", "server");
    step.checks
        .equal("php-fpm's connections", accepted + adopted, account);
    step.checks
        .between("adopted", adopted, 0.0, f64::from(waiting));
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
    // Its workers waited in accept when the agent came.
    let accepted = step.connections("apache-prefork", "server");
    step.checks.equal("connections", accepted, [5.0, 0.0]);
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
    answers_by_itself(
        "haproxy-alone",
        "haproxy",
        &[("403", 1.0), ("503", 1.0)],
        1.0,
    );
}

#[test]
fn nginx_says_502_when_nobody_is_behind_it() {
    answers_by_itself("nginx-gone", "nginx", &[("502", 2.0)], 2.0);
}

/// A proxy gives these answers, and asks nobody: so many times nobody took its connection.
fn answers_by_itself(name: &'static str, process: &str, answers: &[(&str, f64)], refused: f64) {
    let mut step = step(name);
    let served = step.counted(process, SERVER);
    let account = requests(&step.account(process));
    step.checks.equal("requests", &served, &account);
    let want: Requests = answers
        .iter()
        .map(|(status, count)| (("GET".to_owned(), (*status).to_owned()), *count))
        .collect();
    step.checks.equal("answers", &served, &want);
    let asked = step.counted(process, CLIENT);
    step.checks
        .equal("requests to others", asked, Requests::new());
    let labels = [("error_type", "refused")];
    let failed = step.rise(process, "sockmeter_connections_failed_total", &labels);
    step.checks.equal("refused connects", failed, refused);
    step.is_settled(process);
}
