package temporallocal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"

	"github.com/hone-rl/hone"
)

// startAttempts is how often Start picks new ports after another process took one between the choice and the use.
const startAttempts = 3

// Server is a running Temporal server. Its methods may be called from several goroutines.
type Server struct {
	inner   temporal.Server
	owner   *pgx.Conn
	log     logger
	address string
	stop    sync.Once
	stopErr error
}

// Start brings the server up and returns when the namespace can be used, in about 1.5 s on fresh databases and 1 s later on.
// ctx bounds the start alone. It returns [hone.ErrInvalid] for bad options, [hone.ErrUnavailable] where Postgres can't be
// reached, and [hone.ErrConflict] where another server owns the databases, where a newer program wrote them, or where Port is taken.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	pg, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if err := createDatabases(ctx, o); err != nil {
		return nil, err
	}
	owner, err := own(ctx, o)
	if err != nil {
		return nil, err
	}
	s, err := startOwned(ctx, o, pg)
	if err != nil {
		_ = owner.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	s.owner = owner
	return s, nil
}

// startOwned starts the server on databases that nobody else uses.
func startOwned(ctx context.Context, o Options, pg postgres) (*Server, error) {
	log := newLogger(o.Logger)
	if err := migrate(ctx, o, pg, log); err != nil {
		return nil, err
	}
	s, err := launch(o, pg)
	if err != nil {
		return nil, err
	}
	if err := ensureNamespace(ctx, s.address, o); err != nil {
		return nil, errors.Join(err, s.Stop()) //nolint:contextcheck // it must stop even when ctx has ended
	}
	return s, nil
}

// launch starts the server's four parts, again on other ports where one was taken in between.
func launch(o Options, pg postgres) (*Server, error) {
	var faults []error
	for range startAttempts {
		ports, err := freePorts(o.Port)
		if err != nil {
			return nil, errors.Join(append(faults, err)...)
		}
		s := &Server{log: newLogger(o.Logger), address: address(ports[primitives.FrontendService])}
		err = s.run(serverConfig(o, pg, ports), ports)
		if err == nil {
			return s, nil
		}
		faults = append(faults, err)
		if s.log.fatal() == nil || s.inner != nil {
			// Only a server that failed before it was built (a port taken) is tried again: of one that failed while starting,
			// parts may still run.
			break
		}
	}
	return nil, fmt.Errorf("start temporal server: %w: %w", errors.Join(faults...), hone.ErrUnavailable)
}

// errGaveUp stands until the server says how its start went.
var errGaveUp = errors.New("the server gave up while starting")

// run builds and starts the server.
func (s *Server) run(cfg *config.Config, ports map[primitives.ServiceName]int) error {
	return s.attempt(func() error {
		inner, err := temporal.NewServer(
			temporal.WithConfig(cfg),
			temporal.ForServices(temporal.DefaultServices),
			temporal.WithStaticHosts(staticHosts(ports)),
			temporal.WithLogger(s.log),
			temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
			temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
			temporal.WithDynamicConfigClient(dynamicConfig()),
		)
		if err != nil {
			return fmt.Errorf("build: %w", err)
		}
		s.inner = inner
		return inner.Start()
	})
}

// attempt calls start on a goroutine of its own, which the server's logger may end instead of the process. Where the server works in a
// sync.OnceValue, that end is a panic, which says no more than the log did.
func (s *Server) attempt(start func() error) error {
	ended := make(chan error, 1)
	go func() {
		err := errGaveUp
		defer func() {
			if r := recover(); r != nil && s.log.fatal() == nil {
				panic(r)
			}
			ended <- err
		}()
		err = start()
	}()
	if err := <-ended; err != nil {
		return errors.Join(s.log.fatal(), err)
	}
	return nil
}

// Address is the host and port of the front end, for client.Options.HostPort.
func (s *Server) Address() string { return s.address }

// Stop ends the server in about a second and gives up its databases. Workers and clients must be stopped before. Calling it
// again returns the first call's result.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		s.log.state.stopping.Store(true)
		if err := s.inner.Stop(); err != nil {
			s.stopErr = fmt.Errorf("stop temporal server: %w", err)
		}
		if s.owner != nil {
			_ = s.owner.Close(context.Background())
		}
	})
	return s.stopErr
}
