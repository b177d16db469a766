package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	sdklog "go.temporal.io/sdk/log"

	"github.com/hone-rl/hone"
)

// defaultNamespace is Temporal's namespace where none is said.
const defaultNamespace = "default"

// tlsFlags say how to reach a Temporal that speaks TLS. A client certificate makes it mutual.
type tlsFlags struct {
	on                        bool
	cert, key, ca, serverName string
}

func (t *tlsFlags) register(flags *pflag.FlagSet) {
	flags.BoolVar(&t.on, "temporal-tls", false,
		"reach Temporal by TLS (default $TEMPORAL_TLS; any other TLS setting and an API key, $TEMPORAL_API_KEY, imply it)")
	flags.StringVar(&t.cert, "temporal-tls-cert", "", "file of the client's certificate, PEM (default $TEMPORAL_TLS_CLIENT_CERT_PATH)")
	flags.StringVar(&t.key, "temporal-tls-key", "", "file of the client's key, PEM (default $TEMPORAL_TLS_CLIENT_KEY_PATH)")
	flags.StringVar(&t.ca, "temporal-tls-ca", "",
		"file of the authorities that may sign for the server, PEM (default $TEMPORAL_TLS_SERVER_CA_CERT_PATH, else the system's)")
	flags.StringVar(&t.serverName, "temporal-tls-server-name", "",
		"name that the server's certificate must hold (default $TEMPORAL_TLS_SERVER_NAME, else the address's)")
}

// over puts what the flags say in the place of what the environment does.
func (t *tlsFlags) over(p *envconfig.ClientConfigProfile) {
	if !t.on && *t == (tlsFlags{}) {
		return
	}
	if p.TLS == nil {
		p.TLS = &envconfig.ClientConfigTLS{}
	}
	p.TLS.Disabled = false
	if t.cert != "" {
		p.TLS.ClientCertPath, p.TLS.ClientCertData = t.cert, nil
	}
	if t.key != "" {
		p.TLS.ClientKeyPath, p.TLS.ClientKeyData = t.key, nil
	}
	if t.ca != "" {
		p.TLS.ServerCACertPath, p.TLS.ServerCACertData = t.ca, nil
	}
	if t.serverName != "" {
		p.TLS.ServerName = t.serverName
	}
}

// environment is the app's, as package envconfig reads it.
type environment struct{ getenv func(string) string }

// Environ is empty: it is asked for metadata headers, which hone has none of.
func (environment) Environ() []string { return nil }

func (e environment) LookupEnv(name string) (string, bool) {
	value := e.getenv(name)
	return value, value != ""
}

// temporalProfile is how to reach a Temporal of the user's: by flags, by the environment variables that all of Temporal's programs
// read, and by the file that $TEMPORAL_CONFIG_FILE names. Its address is empty where nobody said one.
func (a *app) temporalProfile() (envconfig.ClientConfigProfile, error) {
	p, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{
		// A file in the usual place is for other programs; hone runs servers of its own unless it is told otherwise.
		DisableFile: a.getenv("TEMPORAL_CONFIG_FILE") == "", ConfigFileStrict: true, EnvLookup: environment{a.getenv},
	})
	if err != nil {
		return p, fmt.Errorf("settings of Temporal in the environment: %w: %w", hone.ErrInvalid, err)
	}
	if a.temporalAddress != "" {
		p.Address = a.temporalAddress
	}
	if a.temporalSpace != "" {
		p.Namespace = a.temporalSpace
	}
	if p.Namespace == "" {
		p.Namespace = defaultNamespace
	}
	a.temporalTLS.over(&p)
	return p, nil
}

// dial connects to Temporal.
func (s *servers) dial(ctx context.Context) (client.Client, error) {
	var options client.Options
	if s.profile.Address != "" { // A private one listens on the loopback alone, in the clear.
		var err error
		if options, err = s.profile.ToClientOptions(envconfig.ToClientOptionsRequest{}); err != nil {
			return nil, fmt.Errorf("TLS to Temporal: %w: %w", hone.ErrInvalid, err)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	options.HostPort, options.Namespace = s.temporalAddress, s.temporalSpace
	options.Logger = sdklog.NewStructuredLogger(s.log)
	options.Identity = fmt.Sprintf("hone %d@%s", os.Getpid(), host)
	if err := s.app.watched.options(&options); err != nil {
		return nil, err
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("server of Temporal at %s: %w: %w", s.temporalAddress, hone.ErrUnavailable, err)
	}
	return c, nil
}
