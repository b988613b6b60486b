//! The two ends of an HTTP/1.1 connection over a chosen I/O path, each in a process of its own.
//!
//! Both tell as one line of JSON what they did: requests, statuses, bytes, seconds. `io.rs` among the
//! guest tests compares that with what the agent measured.

#![allow(
    clippy::print_stdout,
    reason = "the answers are what this program is for"
)]

mod calls;
mod cases;
mod ends;
mod messages;

use anyhow::{Context, Result, bail};

use calls::connect;

const USAGE: &str = "\
usage: io list               the names of all cases, one a line
       io serve CASE         tells its port, serves one connection, tells what it did
       io request CASE PORT  makes the requests, tells what it did";

fn case(name: &str) -> Result<&'static cases::Case> {
    cases::named(name).with_context(|| format!("there is no case {name:?}"))
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            for case in cases::ALL {
                println!("{}", case.name);
            }
        }
        ["serve", name] => {
            let case = case(name)?;
            match connect::listen(case.kind) {
                Ok(listener) => {
                    println!("{}", listener.local_addr()?.port());
                    println!("{}", ends::serve(case, connect::accept(&listener)?));
                }
                Err(why) => println!("{}", ends::refused(case, why)),
            }
        }
        ["request", name, port] => {
            let case = case(name)?;
            let socket = connect::connect(case.kind, port.parse()?)?;
            println!("{}", ends::request(case, socket));
        }
        _ => bail!("{USAGE}"),
    }
    Ok(())
}
