// SPDX-License-Identifier: BSL-1.0

// Echo servers in Go, on a bound socket that is inherited as descriptor 3:
//
//	echo one    package net, one datagram at a time
//	echo batch  golang.org/x/net, which takes and sends many with one system call
package main

import (
	"log"
	"net"
	"os"

	"golang.org/x/net/ipv4"
)

const (
	inheritedDescriptor = 3
	datagramSize        = 2048
	batchSize           = 64
)

func serveOneByOne(conn *net.UDPConn) error {
	buffer := make([]byte, datagramSize)
	for {
		// These forms do not allocate an address for each datagram.
		size, peer, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort(buffer[:size], peer); err != nil {
			return err
		}
	}
}

func serveBatches(conn *net.UDPConn) error {
	packets := ipv4.NewPacketConn(conn)
	received := make([]ipv4.Message, batchSize)
	replies := make([]ipv4.Message, batchSize)
	for i := range received {
		received[i].Buffers = [][]byte{make([]byte, datagramSize)}
		replies[i].Buffers = make([][]byte, 1)
	}
	for {
		count, err := packets.ReadBatch(received, 0)
		if err != nil {
			return err
		}
		for i, message := range received[:count] {
			replies[i].Buffers[0] = message.Buffers[0][:message.N]
			replies[i].Addr = message.Addr
		}
		for rest := replies[:count]; len(rest) > 0; {
			sent, err := packets.WriteBatch(rest, 0)
			if err != nil {
				return err
			}
			rest = rest[sent:]
		}
	}
}

func inheritedSocket() (*net.UDPConn, error) {
	file := os.NewFile(inheritedDescriptor, "inherited socket")
	defer file.Close() // FilePacketConn makes a copy.
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

func main() {
	servers := map[string]func(*net.UDPConn) error{"one": serveOneByOne, "batch": serveBatches}
	var serve func(*net.UDPConn) error
	if len(os.Args) == 2 {
		serve = servers[os.Args[1]]
	}
	if serve == nil {
		log.Fatal("usage: echo one|batch")
	}
	conn, err := inheritedSocket()
	if err == nil {
		err = serve(conn)
	}
	log.Fatal(err)
}
