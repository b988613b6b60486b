//! TLS in the kernel, with keys that both ends know: what is read and written is plain, what is on the
//! wire is not.

use std::io;

use super::Socket;
use super::options::set;

// From the kernel's user API (linux/tls.h), which the libc crate does not have.
const TLS_TX: i32 = 1;
const TLS_RX: i32 = 2;
const VERSION_1_2: u16 = 0x0303;
const AES_GCM_128: u16 = 51;

/// `struct tls12_crypto_info_aes_gcm_128`.
#[repr(C)]
struct Keys {
    version: u16,
    cipher: u16,
    iv: [u8; 8],
    key: [u8; 16],
    salt: [u8; 4],
    sequence: [u8; 8],
}

/// Both directions, both ends: the same keys, as nobody is to be kept out.
pub(crate) fn prepare(socket: &Socket) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls\0")?;
    for direction in [TLS_TX, TLS_RX] {
        let keys = Keys {
            version: VERSION_1_2,
            cipher: AES_GCM_128,
            iv: [1; 8],
            key: [2; 16],
            salt: [3; 4],
            sequence: [0; 8],
        };
        set(socket, libc::SOL_TLS, direction, &keys)?;
    }
    Ok(())
}
