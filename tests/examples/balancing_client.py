"""Clients of a balanced server (example_sharded_server --name), which count what they lose.

    balancing_client.py ADDRESS PORT CLIENT-ADDRESS...

Each client has a socket of its own address and an id of 8 bytes, and sends a numbered datagram every 20 ms. An answer is
"NAME COUNT ID NUMBER": the server, and how many datagrams its session has had. The program prints "ready" when each
client has had three answers. SIGUSR1: new ports, with the old ids. SIGUSR2: print "settled" when each client has had three
answers to later datagrams. SIGTERM: stop sending, wait for the last answers, and print the counts.
"""
import collections
import secrets
import select
import signal
import socket
import sys
import time


class Client:
    def __init__(self, server, address):
        self.server, self.address = server, address
        self.id = secrets.token_hex(4)
        self.sent = {}  # by number: the time
        self.answers = {}  # by number: the server's name and the count
        self.empty = 0
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        # Not connected: a refusal of one datagram would end the next send.
        self.socket.bind((self.address, 0))

    def send(self):
        number = len(self.sent)
        self.sent[number] = time.monotonic()
        self.socket.sendto(f"{self.id} {number}".encode(), self.server)

    def receive(self, from_socket):
        data, sender = from_socket.recvfrom(2000)
        if not data:  # nginx passes an error of its server on as an empty datagram
            self.empty += 1
            return
        name, count, name_of_client, number = data.decode().split()
        assert sender == self.server and name_of_client == self.id, (sender, data, self.id)
        assert int(number) not in self.answers, f"twice: {data}"
        self.answers[int(number)] = (name, int(count))

    def lost(self):
        return [number for number in self.sent if number not in self.answers]

    def settled(self, since):
        return sum(number >= since for number in self.answers) >= 3


wanted = collections.Counter()
for each in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
    signal.signal(each, lambda number, frame: wanted.update([number]))

server = (sys.argv[1], int(sys.argv[2]))
clients = [Client(server, address) for address in sys.argv[3:]]
sockets = {client.socket: client for client in clients}
marks, word = {client: 0 for client in clients}, "ready"
next_send, end = time.monotonic(), None
while end is None or (time.monotonic() < end and any(client.lost() for client in clients)):
    if wanted.pop(signal.SIGUSR1, 0):
        for client in clients:
            client.open()
            sockets[client.socket] = client  # the old one stays open for late answers
    if wanted.pop(signal.SIGUSR2, 0):
        marks, word = {client: len(client.sent) for client in clients}, "settled"
    if wanted.pop(signal.SIGTERM, 0):
        end = time.monotonic() + 1
    if end is None and time.monotonic() >= next_send:
        next_send = max(next_send + 0.02, time.monotonic())
        for client in clients:
            client.send()
    wait = next_send - time.monotonic() if end is None else 0.02
    for ready in select.select(list(sockets), [], [], max(0, wait))[0]:
        sockets[ready].receive(ready)
    if word and all(client.settled(marks[client]) for client in clients):
        print(word, flush=True)
        word = None

lost = sum(len(client.lost()) for client in clients)
print(f"sent {sum(len(client.sent) for client in clients)}, lost {lost}")
losers = [client for client in clients if client.lost()]
if losers:
    spans = [client.sent[client.lost()[-1]] - client.sent[client.lost()[0]] for client in losers]
    empty = sum(client.empty for client in clients)
    print(f"{len(losers)} clients lost some, each within {max(spans) * 1000:.0f} ms, {empty} empty answers")
moved = sessions = 0
for client in clients:
    in_order = [client.answers[number] for number in sorted(client.answers)]
    moved += any(a[0] != b[0] for a, b in zip(in_order, in_order[1:]))
    sessions += sum(count == 1 for name, count in in_order)
print(f"{len(clients)} clients, {moved} moved, {sessions} sessions")
for name, count in sorted(collections.Counter(list(c.answers.values())[-1][0] for c in clients).items()):
    print(f"at the end {count} at {name}")
