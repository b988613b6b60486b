//! HTTP that lies: never a wrong count in silence, and nobody else is touched.

mod samples;

use crate::dialogue::{CLIENT, SERVER};
use crate::end::{Capture, End};
use samples::{answers, framing_of_requests, heads_of_requests, sizes};
use sockmeter::connections::Role;

/// One who lies, on a connection that is known to be HTTP.
struct Lie {
    name: &'static str,
    /// What is said in turn: requests, then answers, and so on.
    said: Vec<Vec<u8>>,
    /// What it is counted as.
    counted: Counts,
}

/// The exchanges besides the honest ones, why requests are unanswered, and answers without a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    exchanges: Vec<&'static str>,
    unanswered: Vec<&'static str>,
    unpaired: u64,
    /// Bytes that could not be told what they are.
    is_lost: bool,
}

const GET: &[u8] = b"GET /honest HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
const HONEST: &str = "GET 200 /honest 1.1";

fn play(end: &mut End, said: &[Vec<u8>]) {
    /// Calls of servers are not longer.
    const CALL_BYTES_MAX: usize = 16_384;
    for (number, turn) in said.iter().enumerate() {
        let side = [CLIENT, SERVER][number % 2];
        for bytes in turn.chunks(CALL_BYTES_MAX) {
            end.call(side, bytes, bytes.len(), Capture::Full);
        }
    }
}

/// Between honest exchanges on the same connection and on another one; the connection is either read again behind the
/// lie, or its rest is lost, but no exchange is counted that was not.
fn check(lie: &Lie, role: Role) -> Result<(), String> {
    let honest = [GET.to_vec(), OK.to_vec()];
    let mut end = End::new(role, false);
    play(&mut end, &honest);
    end.switch();
    play(&mut end, &honest);
    end.switch();
    for (number, turn) in lie.said.iter().enumerate() {
        end.switch();
        play(&mut end, &honest);
        end.switch();
        let turn = turn.clone();
        play(
            &mut end,
            &if number % 2 == 0 {
                vec![turn]
            } else {
                vec![vec![], turn]
            },
        );
    }
    end.switch();
    play(&mut end, &honest);
    let counted = end.finish();

    let mut exchanges: Vec<String> = lie
        .counted
        .exchanges
        .iter()
        .map(|line| (*line).to_owned())
        .collect();
    exchanges.extend(vec![HONEST.to_owned(); 3 + lie.said.len()]);
    if role == Role::Client {
        for line in &mut exchanges {
            let words = line.split(' ').filter(|word| !word.starts_with('/'));
            *line = words.collect::<Vec<_>>().join(" ");
        }
    }
    exchanges.sort();
    let got = (
        counted.exchanges(),
        counted.unanswered(),
        counted.unpaired(),
        counted.bytes("lost") > 0,
    );
    let unanswered: Vec<String> = lie
        .counted
        .unanswered
        .iter()
        .map(|reason| (*reason).to_owned())
        .collect();
    let want = (
        exchanges,
        unanswered,
        lie.counted.unpaired,
        lie.counted.is_lost,
    );
    if got == want {
        Ok(())
    } else {
        Err(format!("{} {role:?}:\n  {got:?}\n  {want:?}", lie.name))
    }
}

fn lies() -> impl Iterator<Item = Lie> {
    let lies = [
        framing_of_requests(),
        heads_of_requests(),
        answers(),
        sizes(),
    ];
    lies.into_iter().flatten()
}

#[test]
fn no_lie_is_counted_as_what_it_is_not_and_the_honest_are_untouched() {
    let roles = [Role::Server, Role::Client];
    let wrong: Vec<String> = lies()
        .flat_map(|lie| roles.map(|role| check(&lie, role)))
        .filter_map(Result::err)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is no request cannot be what a connection is known by: it may count as bytes of no known protocol.
#[test]
fn a_lie_that_comes_first_is_not_silent_either() {
    for lie in lies() {
        let mut end = End::new(Role::Server, false);
        play(&mut end, &lie.said);
        let counted = end.finish();
        let Counts {
            exchanges,
            unanswered,
            unpaired,
            is_lost,
        } = &lie.counted;
        let is_unrecognised = counted.bytes("unrecognised") > 0;
        if is_unrecognised {
            assert!(counted.exchanges().is_empty(), "{}", lie.name);
        } else {
            assert_eq!(counted.exchanges(), *exchanges, "{}", lie.name);
            assert_eq!(counted.unanswered(), *unanswered, "{}", lie.name);
            assert_eq!(counted.unpaired(), *unpaired, "{}", lie.name);
            assert_eq!(counted.bytes("lost") > 0, *is_lost, "{}", lie.name);
        }
    }
}
