//! Adoption: the connections that were open before the probes, as the kernel side's walk tells them.
//!
//! The walk begins to follow them; here it is decided whose they are, and what role their process has.

use crate::records::{Address, Adopted, ConnectionId, Role, ends_of, role};
use sockmeter_abi::record::{Held, UNIX_NAME_BYTES};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    net::SocketAddr,
};
use zerocopy::FromBytes;

/// One end of a connection, and where: addresses may repeat in other network namespaces.
type Place = (u32, SocketAddr, SocketAddr);

/// Reads what a walk told. A connection that several processes share is the first one's, which is the smallest pid.
pub fn read(told: &[u8], time_ns: u64) -> Vec<Adopted> {
    let mut seen = HashSet::new();
    let mut found: Vec<(u32, Adopted)> = Vec::new();
    let mut rest = told;
    while let Some((held, name)) = next(&mut rest) {
        let Held {
            connection,
            slot,
            pid,
            network,
            role: told_role,
            name_bytes: _,
            reserved: _,
            endpoints: ends,
        } = held;
        if !seen.insert(connection) {
            continue;
        }
        let role = role(told_role);
        let (local, remote) = ends_of(&ends, role, name);
        let adopted = Adopted {
            connection: ConnectionId(connection),
            slot: Some(slot),
            role,
            pid,
            time_ns,
            local,
            remote,
        };
        found.push((network, adopted));
    }
    let roles = roles(&found);
    found
        .into_iter()
        .map(|(network, adopted)| {
            let other_end = place(network, &adopted.remote, &adopted.local);
            let role = match (adopted.role, other_end.and_then(|end| roles.get(&end))) {
                (Role::Unknown, Some(Role::Server)) => Role::Client,
                (Role::Unknown, Some(Role::Client)) => Role::Server,
                (role, _) => role,
            };
            Adopted { role, ..adopted }
        })
        .collect()
}

/// The next connection, and the name that follows that of a Unix socket.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(Held, &'a [u8])> {
    let (held, mut behind) = Held::read_from_prefix(rest).ok()?;
    let mut name = [].as_slice();
    if held.endpoints.family == libc::AF_UNIX as u16 {
        (name, behind) = behind.split_at_checked(UNIX_NAME_BYTES)?;
    }
    *rest = behind;
    Some((held, name.get(..usize::from(held.name_bytes))?))
}

/// Unix sockets have no addresses that tell one connection from another.
fn place(network: u32, local: &Address, remote: &Address) -> Option<Place> {
    match (local, remote) {
        (Address::Inet(local), Address::Inet(remote)) => Some((network, *local, *remote)),
        _ => None,
    }
}

/// The roles that the sockets themselves told.
fn roles(found: &[(u32, Adopted)]) -> HashMap<Place, Role> {
    let mut roles = HashMap::new();
    for (network, adopted) in found {
        let Some(place) = place(*network, &adopted.local, &adopted.remote) else {
            continue;
        };
        match roles.entry(place) {
            Entry::Vacant(place) => {
                place.insert(adopted.role);
            }
            // Two sockets with the same addresses (IPv4, and IPv4 in IPv6, on two devices): none of them tells.
            Entry::Occupied(mut place) => {
                place.insert(Role::Unknown);
            }
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use sockmeter_abi::record::{Endpoints, ROLE_CLIENT, ROLE_SERVER, ROLE_UNKNOWN};
    use zerocopy::IntoBytes;

    const SERVER_PORT: u16 = 80;
    const CLIENT_PORT: u16 = 40_000;

    fn held(connection: u64, pid: u32, network: u32, role: u8, ports: [u16; 2]) -> Held {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[127, 0, 0, 1]);
        let [local_port, remote_port] = ports;
        Held {
            connection,
            slot: 9,
            pid,
            network,
            role,
            name_bytes: 0,
            reserved: [0; 2],
            endpoints: Endpoints {
                family: libc::AF_INET as u16,
                local_port,
                remote_port,
                reserved: 0,
                local_address: address,
                remote_address: address,
            },
        }
    }

    fn roles_of(told: &[Held]) -> Vec<Role> {
        read(told.as_bytes(), 5)
            .iter()
            .map(|adopted| adopted.role)
            .collect()
    }

    const AS_SERVER: [u16; 2] = [SERVER_PORT, CLIENT_PORT];
    const AS_CLIENT: [u16; 2] = [CLIENT_PORT, SERVER_PORT];

    #[test]
    fn rule_19_a_shared_connection_is_the_smallest_pids() {
        let shared = [10, 12, 11].map(|pid| held(1, pid, 4, ROLE_SERVER, AS_SERVER));
        let adopted = read(shared.as_bytes(), 5);
        assert_eq!(adopted.len(), 1);
        let Adopted {
            pid,
            slot,
            local,
            remote,
            time_ns,
            ..
        } = &adopted[0];
        assert_eq!((*pid, *slot, *time_ns), (10, Some(9), 5));
        let ports = [local, remote].map(|end| end.to_string());
        assert_eq!(ports, ["127.0.0.1:80", "127.0.0.1:40000"]);
    }

    #[test]
    fn rule_20_unix_connections_have_the_name_of_their_server() {
        let unix = |connection, role, name: &[u8]| {
            let mut held = held(connection, 1, 4, role, [0; 2]);
            held.endpoints.family = libc::AF_UNIX as u16;
            held.name_bytes = name.len() as u8;
            let mut bytes = held.as_bytes().to_vec();
            bytes.extend(name);
            bytes.resize(size_of::<Held>() + UNIX_NAME_BYTES, 0);
            bytes
        };
        let told = [
            unix(1, ROLE_SERVER, b"/run/x.sock\0"),
            held(2, 1, 4, ROLE_CLIENT, AS_CLIENT).as_bytes().to_vec(),
            unix(3, ROLE_CLIENT, &[b'x'; 109]),
            unix(4, ROLE_UNKNOWN, b""),
            unix(5, ROLE_UNKNOWN, b""),
        ]
        .concat();
        let found: Vec<_> = read(&told, 5)
            .iter()
            .map(|one| format!("{:?} {} {}", one.role, one.local, one.remote))
            .collect();
        let longest = format!("Client unix: unix:{}", "x".repeat(109));
        assert_eq!(
            found,
            [
                "Server unix:/run/x.sock unix:",
                "Client 127.0.0.1:40000 127.0.0.1:80",
                &longest,
                "Unknown unix: unix:",
                "Unknown unix: unix:",
            ]
        );
        // A name that is cut off is none, and nothing follows it.
        assert_eq!(read(&told[..size_of::<Held>() + 5], 5), []);
    }

    #[test]
    fn rule_18_the_other_end_tells_a_role_that_the_socket_does_not() {
        let end = |role, ports| held(u64::from(ports == AS_SERVER), 1, 4, role, ports);
        assert_eq!(
            roles_of(&[end(ROLE_UNKNOWN, AS_CLIENT), end(ROLE_SERVER, AS_SERVER)]),
            [Role::Client, Role::Server]
        );
        assert_eq!(
            roles_of(&[end(ROLE_UNKNOWN, AS_SERVER), end(ROLE_CLIENT, AS_CLIENT)]),
            [Role::Server, Role::Client]
        );
    }

    #[test]
    fn rule_18_an_end_in_another_network_tells_nothing() {
        let told = [
            held(1, 1, 4, ROLE_UNKNOWN, AS_CLIENT),
            held(2, 1, 5, ROLE_SERVER, AS_SERVER),
        ];
        assert_eq!(roles_of(&told), [Role::Unknown, Role::Server]);
    }

    #[test]
    fn rule_18_two_ends_that_do_not_know_stay_unknown() {
        let told = [
            held(1, 1, 4, ROLE_UNKNOWN, AS_CLIENT),
            held(2, 1, 4, ROLE_UNKNOWN, AS_SERVER),
        ];
        assert_eq!(roles_of(&told), [Role::Unknown, Role::Unknown]);
    }
}
