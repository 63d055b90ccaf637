#!/usr/bin/env python3
"""A QUIC client over aioquic for quic.sh: what a client of the server in examples/quic may do, good and bad.

    quic_client.py PORT echo              streams of several sizes at once come back
    quic_client.py PORT bulk SIZE         one stream of as many bytes comes back
    quic_client.py PORT move              the client's port changes in the middle
    quic_client.py PORT vanish            a handshake, and then nothing
    quic_client.py PORT deaf COUNT        clients that send, and allow no answer, until SIGTERM
    quic_client.py PORT half COUNT        the first packets of clients that never answer
    quic_client.py PORT rubbish COUNT     datagrams that are no QUIC, too large, cut or changed
    quic_client.py PORT wait              waits until the server closes the connection
"""
import asyncio
import os
import random
import signal
import socket
import ssl
import sys
import time

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated

HOST = "127.0.0.1"


class Client(QuicConnectionProtocol):
    terminated = None

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.terminated = event
        super().quic_event_received(event)


def configuration(protocol, **more):
    return QuicConfiguration(is_client=True, alpn_protocols=[protocol], verify_mode=ssl.CERT_NONE, **more)


def open_client(port, protocol, **more):
    return connect(HOST, port, configuration=configuration(protocol, **more), create_protocol=Client)


async def echo_one(client, size):
    sent = random.randbytes(size)
    reader, writer = await client.create_stream()
    writer.write(sent)
    writer.write_eof()
    assert await reader.read() == sent, f"{size} bytes came back changed"


async def echo(port):
    async with open_client(port, "echo") as client:
        sizes = [0, 1, 1199, 70000, 131072, 131073, 1000000, 3]
        await asyncio.gather(*(echo_one(client, size) for size in sizes))
        for _ in range(12):  # streams that have ended make room for others
            await echo_one(client, 1000)


async def bulk(port, size):
    async with open_client(port, "echo", max_data=1 << 24, max_stream_data=1 << 23) as client:
        # Python is slow: without room, what is lost keeps the server's congestion window small.
        client._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        await echo_one(client, size)


async def move(port):
    async with open_client(port, "echo") as client:
        reader, writer = await client.create_stream()
        for turn in range(4):
            sent = random.randbytes(50000)
            writer.write(sent)
            assert await reader.readexactly(len(sent)) == sent
            old = client._transport
            other = socket.socket(old.get_extra_info("socket").family, socket.SOCK_DGRAM)
            if other.family == socket.AF_INET6:
                other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            other.bind(("", 0))
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: client, sock=other)
            assert client._transport is not old
            old.close()
        writer.write_eof()
        assert await reader.read() == b""


async def vanish(port):
    client = open_client(port, "echo")
    protocol = await client.__aenter__()
    protocol._transport.abort()
    os._exit(0)


async def deaf(port, count):
    clients = []
    for _ in range(count):
        context = open_client(port, "echo", max_data=1000, max_stream_data=1000)
        client = await context.__aenter__()
        client._quic._write_connection_limits = lambda *args, **names: None
        client._quic._write_stream_limits = lambda *args, **names: None
        for _ in range(4):
            _, writer = await client.create_stream()
            writer.write(bytes(1 << 20))
        clients.append((context, client))
    for _, client in clients:
        before = -1
        while client._quic._remote_max_data_used > before:
            before = client._quic._remote_max_data_used
            for _ in range(3):
                await client.ping()
        print(f"sent {before}", flush=True)
        assert before < 1 << 20, "the server takes more than it may keep"
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("blocked", flush=True)
    await ended.wait()
    for _, client in clients:
        await client.ping()  # the connection still works
    os._exit(0)


def first_packets(count):
    for _ in range(count):
        connection = QuicConnection(configuration=configuration("echo"))
        connection.connect((HOST, 1), now=time.time())
        yield from (data for data, _ in connection.datagrams_to_send(now=time.time()))


def half(port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for data in first_packets(count):
            out.sendto(data, (HOST, port))


def rubbish(port, count):
    random.seed(7)
    genuine = list(first_packets(4))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for number in range(count):
            data = bytearray(random.randbytes(random.choice([0, 1, 20, 60, 1200, 1472, 9000, 65507])))
            kind = number % 4
            if kind == 1 and data:
                data[0] |= 0xC0  # looks like the first packet of a connection
                data[1:5] = b"\0\0\0\1"
            elif kind == 2:
                data = bytearray(random.choice(genuine))
                data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            elif kind == 3:
                data = random.choice(genuine)[: random.randrange(1200)]
            out.sendto(data, (HOST, port))
            if number % 20 == 0:
                time.sleep(0.001)  # so that the queue of the server is not all that there is to test


async def wait(port):
    async with open_client(port, "echo") as client:
        print("connected", flush=True)
        await client.wait_closed()
        assert client.terminated.error_code == 0, client.terminated
        print("closed by the server", flush=True)


async def main():
    port, what, *numbers = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    if what in ("half", "rubbish"):
        globals()[what](port, *numbers)
    else:
        await globals()[what](port, *numbers)


asyncio.run(main())
