package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hone-rl/hone"
)

// authority signs certificates.
type authority struct {
	*testing.T

	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{T: t, dir: t.TempDir()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.key = key
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	a.Helper()
	path := filepath.Join(a.dir, name)
	require.NoError(a, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// issue writes a certificate for a name, and its key.
func (a *authority) issue(name string) (cert, key string) {
	a.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, &private.PublicKey, a.key)
	require.NoError(a, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(a, err)
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", secret)
}

// greeter is as much of Temporal as answers a client that connects.
type greeter struct {
	workflowservice.UnimplementedWorkflowServiceServer
}

func (greeter) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

// listen is a server that wants certificates of the authority's.
func (a *authority) listen() string {
	a.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue("temporal.example"))
	require.NoError(a, err)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})))
	workflowservice.RegisterWorkflowServiceServer(server, greeter{})
	listener, err := new(net.ListenConfig).Listen(a.Context(), "tcp", "127.0.0.1:0")
	require.NoError(a, err)
	go func() { _ = server.Serve(listener) }()
	a.Cleanup(server.Stop)
	return listener.Addr().String()
}

func TestTemporalIsReachedByMutualTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, key := ours.issue("worker")
	ca := filepath.Join(ours.dir, "ca.pem")
	address := ours.listen()
	dial := func(env map[string]string, flags tlsFlags) error {
		a := &app{getenv: func(name string) string { return env[name] }, temporalAddress: address, temporalTLS: flags}
		profile, err := a.temporalProfile()
		require.NoError(t, err)
		require.Equal(t, defaultNamespace, profile.Namespace)
		s := &servers{app: a, profile: profile, temporalAddress: profile.Address, temporalSpace: profile.Namespace, log: quietLog()}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c, err := s.dial(ctx)
		if err == nil {
			c.Close()
		}
		return err
	}
	require.NoError(t, dial(nil, tlsFlags{cert: cert, key: key, ca: ca, serverName: "temporal.example"}), "flags")
	fromEnvironment := map[string]string{
		"TEMPORAL_TLS_CLIENT_CERT_PATH": cert, "TEMPORAL_TLS_CLIENT_KEY_PATH": key, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": ca,
	}
	require.NoError(t, dial(fromEnvironment, tlsFlags{serverName: "temporal.example"}), "the rest from the environment")
	for name, flags := range map[string]tlsFlags{
		"no certificate":          {ca: ca, serverName: "temporal.example"},
		"another server's name":   {cert: cert, key: key, ca: ca, serverName: "elsewhere.example"},
		"authority not known":     {cert: cert, key: key, serverName: "temporal.example"},
		"no TLS":                  {},
		"address for server name": {on: true, cert: cert, key: key, ca: ca},
	} {
		require.ErrorIs(t, dial(nil, flags), hone.ErrUnavailable, name)
	}
	require.ErrorIs(t, dial(nil, tlsFlags{cert: filepath.Join(ours.dir, "missing.pem"), key: key, ca: ca}), hone.ErrInvalid)
}

func TestTemporalOfTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"TEMPORAL_ADDRESS": "temporal.example:7233", "TEMPORAL_NAMESPACE": "there", "TEMPORAL_API_KEY": "secret"}
	a := &app{getenv: func(name string) string { return env[name] }}
	p, err := a.temporalProfile()
	require.NoError(t, err)
	require.Equal(t, []string{"temporal.example:7233", "there", "secret"}, []string{p.Address, p.Namespace, p.APIKey})
	a.temporalAddress, a.temporalSpace = "other.example:7233", "here"
	p, err = a.temporalProfile()
	require.NoError(t, err)
	require.Equal(t, []string{"other.example:7233", "here"}, []string{p.Address, p.Namespace}, "flags go first")
	env["TEMPORAL_CONFIG_FILE"] = filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(env["TEMPORAL_CONFIG_FILE"], []byte("[profile.default]\nhost_address = \"x\"\n"), 0o600))
	_, err = a.temporalProfile()
	require.ErrorIs(t, err, hone.ErrInvalid)
}
