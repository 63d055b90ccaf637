// SPDX-License-Identifier: BSL-1.0

//! Echo servers in Rust, on a bound socket that is inherited as descriptor 3:
//!
//!     echo one    tokio's own socket, one datagram at a time
//!     echo batch  quinn-udp on tokio's socket: batches, GRO and GSO

use std::array;
use std::env;
use std::io::{self, IoSliceMut};
use std::os::fd::FromRawFd;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

const INHERITED_DESCRIPTOR: i32 = 3;
const DATAGRAM_SIZE: usize = 2048;
const TRAIN_SIZE: usize = 65536;

async fn serve_one_by_one(socket: UdpSocket) -> io::Result<()> {
    let mut buffer = [0; DATAGRAM_SIZE];
    loop {
        let (size, peer) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..size], peer).await?;
    }
}

async fn serve_batches(socket: UdpSocket) -> io::Result<()> {
    let state = UdpSocketState::new((&socket).into())?;
    let mut memory = vec![0; BATCH_SIZE * TRAIN_SIZE];
    let mut chunks = memory.chunks_exact_mut(TRAIN_SIZE).map(IoSliceMut::new);
    let mut buffers: [_; BATCH_SIZE] = array::from_fn(|_| chunks.next().unwrap());
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    loop {
        let count = socket
            .async_io(Interest::READABLE, || {
                state.recv((&socket).into(), &mut buffers, &mut metas)
            })
            .await?;
        for (meta, buffer) in metas[..count].iter().zip(&buffers) {
            let reply = Transmit {
                destination: meta.addr,
                ecn: meta.ecn,
                contents: &buffer[..meta.len],
                segment_size: (meta.len > meta.stride).then_some(meta.stride),
                src_ip: meta.dst_ip,
            };
            socket
                .async_io(Interest::WRITABLE, || {
                    state.try_send((&socket).into(), &reply)
                })
                .await?;
        }
    }
}

fn inherited_socket() -> io::Result<UdpSocket> {
    // SAFETY: the program that starts this one leaves the descriptor to it.
    let socket = unsafe { std::net::UdpSocket::from_raw_fd(INHERITED_DESCRIPTOR) };
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn main() -> io::Result<()> {
    // As with one processor, which is what a server of this suite has.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        match env::args().nth(1).as_deref() {
            Some("one") => serve_one_by_one(inherited_socket()?).await,
            Some("batch") => serve_batches(inherited_socket()?).await,
            _ => Err(io::Error::other("usage: echo one|batch")),
        }
    })
}
