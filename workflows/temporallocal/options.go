package temporallocal

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/hone-rl/hone"
)

// Options says where the server keeps its data and where it listens. Only URL must be given.
type Options struct {
	// URL is a postgres:// URL of the Postgres server, with the name of a database that exists. A socket directory goes into the
	// host parameter: postgres://hone@/postgres?host=/run/hone&port=5432. The user must be allowed to create databases, unless
	// both of the server's databases are there already.
	URL string
	// Database is the name of the main database; visibility records go to Database + "_visibility". "" means "temporal".
	Database string
	// Namespace is registered and usable when Start returns. "" means "default".
	Namespace string
	// Retention is how long histories of closed workflows are kept, >= 24 h; 0 means 30 days. It counts only when the namespace
	// is first registered.
	Retention time.Duration
	// Port is the TCP port of the front end on 127.0.0.1; 0 means a free one, chosen anew at each start.
	Port int
	// SearchAttributes are registered in the namespace, by name, where it hasn't got them.
	SearchAttributes map[string]enumspb.IndexedValueType
	// Logger receives the server's own records: its errors as warnings, the rest at debug level. Nil discards them.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Database == "" {
		o.Database = "temporal"
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.Retention == 0 {
		o.Retention = 30 * 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) visibility() string { return o.Database + "_visibility" }

// Validate joins all faults of the options; every one wraps [hone.ErrInvalid].
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	if _, err := parseURL(o.URL); err != nil {
		faults = append(faults, err)
	}
	if strings.ContainsAny(o.Database, "\"\x00") {
		fault("temporal database name %q: want a name without quotes", o.Database)
	}
	if o.Retention != 0 && o.Retention < 24*time.Hour {
		fault("temporal retention %v: want at least 24h, or 0 for 30 days", o.Retention)
	}
	if o.Port < 0 || o.Port > 65535 {
		fault("temporal port %d: want 0 to 65535", o.Port)
	}
	return errors.Join(faults...)
}

// postgres is an address of a Postgres server in the pieces from which Temporal's plugin puts a URL together:
// postgres://user:password@address/database?parameters. Only password and parameters are escaped there, and as HTML forms
// are, with a plus for a space, which Postgres takes for a plus.
type postgres struct {
	// user and address are escaped. address is a host and a port; the host may be a socket directory.
	user, address string
	password      string
	parameters    map[string]string
}

// parseURL takes a URL apart, filling gaps from the standard Postgres environment and password file as pgx does. Of several
// hosts it keeps the first.
func parseURL(raw string) (postgres, error) {
	if !strings.HasPrefix(raw, "postgres://") && !strings.HasPrefix(raw, "postgresql://") {
		return postgres{}, fmt.Errorf("database address: want a postgres:// URL: %w", hone.ErrInvalid)
	}
	config, err := pgx.ParseConfig(raw)
	if err != nil {
		return postgres{}, fmt.Errorf("database address: %w: %w", err, hone.ErrInvalid)
	}
	_, query, _ := strings.Cut(raw, "?")
	// To Postgres a plus is a plus.
	values, err := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B"))
	if err != nil {
		return postgres{}, fmt.Errorf("database address: parameters: %w: %w", err, hone.ErrInvalid)
	}
	p := postgres{
		user:       escape(config.User),
		password:   config.Password,
		address:    escape(config.Host) + ":" + strconv.Itoa(int(config.Port)),
		parameters: map[string]string{"sslmode": "prefer"},
	}
	for name := range values {
		switch name {
		case "host", "hostaddr", "port", "user", "password", "dbname", "database":
		default:
			p.parameters[name] = values.Get(name)
		}
	}
	return p, p.validate()
}

// validate refuses what would not arrive as it is.
func (p postgres) validate() error {
	if strings.Contains(p.password, " ") {
		return fmt.Errorf("database address: the embedded Temporal server can't use a password with a space: %w", hone.ErrInvalid)
	}
	for _, name := range slices.Sorted(maps.Keys(p.parameters)) {
		if strings.Contains(p.parameters[name], " ") {
			return fmt.Errorf("database address: the embedded Temporal server can't pass on parameter %s with a space: %w", name, hone.ErrInvalid)
		}
	}
	return nil
}

// escape writes s for any place of a URL.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
