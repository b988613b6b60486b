//! Adoption: the connections that were open before the probes, as the kernel lists them (sock_diag).
//!
//! Edge code, run once at start and again when the end of a connection may have been lost. Lists the
//! agent's own network namespace; connections of others are adopted when they are first used.

use crate::records::{Adopted, ConnectionId, Role};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags},
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddress, protocols::NETLINK_SOCK_DIAG};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
};

/// TCP states in which a process can hold a connection (include/net/tcp_states.h).
const HELD: [u8; 4] = [ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT];
const ESTABLISHED: u8 = 1;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;
/// Larger than what the kernel puts into one answer (32 KiB).
const ANSWER_BYTES: usize = 64 * 1024;

/// Lists the connections that processes hold now.
///
/// # Errors
/// The kernel does not answer (no `CONFIG_INET_DIAG`), or answers what is not understood.
pub fn list(proc_root: &Path, time_ns: u64) -> io::Result<Vec<Adopted>> {
    let mut sockets = dump(AF_INET)?;
    // A host without IPv6 refuses this family.
    sockets.extend(dump(AF_INET6).unwrap_or_default());
    let listening: HashSet<(IpAddr, u16)> = sockets
        .iter()
        .filter(|socket| socket.state == LISTEN)
        .map(|socket| {
            (
                socket.socket_id.source_address.to_canonical(),
                socket.socket_id.source_port,
            )
        })
        .collect();
    let holders = holders(proc_root);
    let own_pid = std::process::id();
    let held = sockets.iter().filter(|socket| HELD.contains(&socket.state));
    Ok(held
        .filter_map(|socket| {
            // Without an inode no process holds it: in the accept queue, or closed and lingering.
            let pid = *holders.get(&u64::from(socket.inode))?;
            let adopted = adopt(socket, pid, &listening, time_ns);
            (pid != own_pid).then_some(adopted)
        })
        .collect())
}

fn adopt(
    socket: &InetResponseHeader,
    pid: u32,
    listening: &HashSet<(IpAddr, u16)>,
    time_ns: u64,
) -> Adopted {
    let SocketId {
        source_port,
        destination_port,
        source_address,
        destination_address,
        cookie,
        ..
    } = socket.socket_id;
    let local = SocketAddr::new(source_address.to_canonical(), source_port);
    let remote = SocketAddr::new(destination_address.to_canonical(), destination_port);
    let role = match (
        is_listening(listening, local),
        is_listening(listening, remote),
    ) {
        (true, false) => Role::Server,
        // The other end is a server on this host.
        (false, true) if local.ip() == remote.ip() || remote.ip().is_loopback() => Role::Client,
        _ => Role::Unknown,
    };
    Adopted {
        connection: ConnectionId(u64::from_ne_bytes(cookie)),
        role,
        pid,
        time_ns,
        local: local.into(),
        remote: remote.into(),
    }
}

fn is_listening(listening: &HashSet<(IpAddr, u16)>, end: SocketAddr) -> bool {
    let any = [
        IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    ];
    any.iter()
        .chain([&end.ip()])
        .any(|address| listening.contains(&(*address, end.port())))
}

/// Asks the kernel for all TCP sockets of a family.
fn dump(family: u8) -> io::Result<Vec<InetResponseHeader>> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddress::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let socket_id = if family == AF_INET {
        SocketId::new_v4()
    } else {
        SocketId::new_v6()
    };
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id,
    };
    let mut packet = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut found = Vec::new();
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    loop {
        answer.clear();
        socket.recv(&mut answer, 0)?;
        if read_answer(&answer, &mut found)? {
            return Ok(found);
        }
    }
}

/// Reads one answer's messages; true after the last one.
fn read_answer(mut answer: &[u8], found: &mut Vec<InetResponseHeader>) -> io::Result<bool> {
    while !answer.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(answer)
            .map_err(|error| io::Error::other(format!("sock_diag's answer: {error}")))?;
        let length = (message.header.length as usize).next_multiple_of(4);
        match message.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                found.push(response.header);
            }
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            _ => {}
        }
        answer = answer.get(length..).unwrap_or_default();
    }
    Ok(false)
}

/// Which process holds which socket, by inode; of several that share one, the oldest pid.
fn holders(proc_root: &Path) -> HashMap<u64, u32> {
    let mut holders = HashMap::new();
    let Ok(entries) = fs::read_dir(proc_root) else {
        return holders;
    };
    for entry in entries.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else {
                continue;
            };
            let inode = target.to_str().and_then(|text| {
                text.strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .parse()
                    .ok()
            });
            if let Some(inode) = inode {
                let holder = holders.entry(inode).or_insert(pid);
                *holder = pid.min(*holder);
            }
        }
    }
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Address;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn roles_come_from_the_listening_sockets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let sockets = dump(AF_INET).unwrap();
        let listening: HashSet<_> = [(
            listener.local_addr().unwrap().ip(),
            listener.local_addr().unwrap().port(),
        )]
        .into();
        let role = |stream: &TcpStream| {
            let local = stream.local_addr().unwrap();
            let socket = sockets.iter().find(|socket| {
                HELD.contains(&socket.state)
                    && socket.socket_id.source_port == local.port()
                    && socket.socket_id.destination_port == stream.peer_addr().unwrap().port()
            });
            let adopted = adopt(socket.unwrap(), 1, &listening, 0);
            assert_eq!(adopted.local, Address::Inet(local));
            assert_eq!(adopted.remote, Address::Inet(stream.peer_addr().unwrap()));
            adopted.role
        };
        assert_eq!((role(&server), role(&client)), (Role::Server, Role::Client));
        let sockets_of_this = holders(Path::new("/proc"));
        assert!(
            sockets_of_this
                .values()
                .any(|pid| *pid == std::process::id())
        );
    }

    #[test]
    fn a_wildcard_listener_covers_every_address() {
        let listening: HashSet<_> = [("::".parse().unwrap(), 80)].into();
        assert!(is_listening(&listening, "192.0.2.1:80".parse().unwrap()));
        assert!(!is_listening(&listening, "192.0.2.1:81".parse().unwrap()));
    }
}
