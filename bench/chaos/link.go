package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// link is a TCP address that leads to a server, and can be made a bad one.
type link struct {
	listener net.Listener

	mu sync.Mutex
	// network and target are where it leads; "" is nowhere.
	network, target string
	conns           map[net.Conn]bool
	// until is when it is good again: till then each piece of at most piece bytes takes delay, or new connections are refused.
	until   time.Time
	delay   time.Duration
	refuses bool
}

// piece is how many bytes pass at once.
const piece = 16 << 10

// newLink listens on a free port of an address of this machine until ctx ends.
func newLink(ctx context.Context, host string) (*link, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err //nolint:wrapcheck // it names what was tried
	}
	l := &link{listener: listener, conns: make(map[net.Conn]bool)}
	context.AfterFunc(ctx, func() {
		_ = listener.Close()
		l.cut()
	})
	go l.accept(ctx)
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

// lead makes it lead to another server.
func (l *link) lead(network, target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.network, l.target = network, target
}

// slow makes it slow for so long.
func (l *link) slow(delay, during time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.until, l.refuses = delay, time.Now().Add(during), false
}

// refuse cuts all connections, and new ones for so long.
func (l *link) refuse(during time.Duration) {
	l.mu.Lock()
	l.delay, l.until, l.refuses = 0, time.Now().Add(during), true
	l.mu.Unlock()
	l.cut()
}

// cut ends all connections.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
	clear(l.conns)
}

// state is where it leads, how long a piece takes and whether it lets nobody through.
func (l *link) state() (network, target string, delay time.Duration, refuses bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) {
		delay, refuses = l.delay, l.refuses
	}
	return l.network, l.target, delay, refuses
}

func (l *link) accept(ctx context.Context) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		network, target, _, refuses := l.state()
		var dialer net.Dialer
		server, err := dialer.DialContext(ctx, network, target)
		if refuses || err != nil {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
			continue
		}
		l.join(client, server)
	}
}

// join passes bytes both ways until one side ends.
func (l *link) join(a, b net.Conn) {
	l.mu.Lock()
	l.conns[a], l.conns[b] = true, true
	l.mu.Unlock()
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() {
			l.pass(way[0], way[1])
			_, _ = a.Close(), b.Close()
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.conns, a)
			delete(l.conns, b)
		}()
	}
}

func (l *link) pass(from, to net.Conn) {
	buffer := make([]byte, piece)
	for {
		n, err := from.Read(buffer)
		if _, _, delay, _ := l.state(); delay > 0 {
			<-time.After(delay)
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
