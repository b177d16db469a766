package storage_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// authority signs certificates, and keeps them as files.
type authority struct {
	*testing.T

	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{T: t, dir: t.TempDir()}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	a.Helper()
	path := filepath.Join(a.dir, name)
	require.NoError(a, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// issue writes a certificate for a name and an address, and its key.
func (a *authority) issue(name string, address net.IP) (cert, key string) {
	a.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{address}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &private.PublicKey, a.key)
	require.NoError(a, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(a, err)
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", secret)
}

// encrypted is a server at an address of its own that only lets in who shows a certificate of the authority's for the user's name.
func (a *authority) encrypted() (address net.IP, server *pglocal.Server) {
	t := a.T
	t.Helper()
	var any3 [3]byte
	_, err := rand.Read(any3[:])
	require.NoError(t, err)
	address = net.IPv4(127, 1+any3[0]%250, any3[1], 2+any3[2]%250)
	server, err = pglocal.Start(t.Context(), pglocal.Options{
		Dir: t.TempDir(), Fast: true, Settings: []string{"listen_addresses=" + address.String()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(background(t))) })
	require.NoError(t, server.EnsureDatabase(t.Context(), "hone"))
	conn, err := pgx.Connect(t.Context(), server.URL("hone"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	cert, key := a.issue("server", address)
	for name, file := range map[string]string{"server.crt": cert, "server.key": key, "root.crt": filepath.Join(a.dir, "ca.pem")} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		serverFile(t, conn, name, text)
	}
	serverFile(t, conn, "pg_hba.conf", []byte("local hone all trust\nhostssl hone worker,other 0.0.0.0/0 cert\n"))
	for _, statement := range []string{
		"CREATE ROLE worker LOGIN", "ALTER DATABASE hone OWNER TO worker", "ALTER SCHEMA public OWNER TO worker",
		"ALTER SYSTEM SET ssl_ca_file = 'root.crt'", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()",
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		var on string
		require.NoError(t, conn.QueryRow(t.Context(), "SHOW ssl").Scan(&on))
		return on == "on"
	}, 30*time.Second, 20*time.Millisecond)
	return address, server
}

// serverFile writes a file of the data directory as the account that the server runs as, for it alone.
func serverFile(t *testing.T, conn *pgx.Conn, name string, text []byte) {
	t.Helper()
	_, err := conn.Exec(t.Context(), fmt.Sprintf("COPY (SELECT 1) TO PROGRAM 'umask 077; cat > /dev/null; echo %s | base64 -d > %s'",
		base64.StdEncoding.EncodeToString(text), name))
	require.NoError(t, err)
}

// A database behind TLS is reached by its certificate and a client's, and by nothing less.
func TestPostgresIsReachedByMutualTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	address, server := ours.encrypted()
	worker, key := ours.issue("worker", address)
	other, otherKey := ours.issue("other", address)
	foreign, foreignKey := theirs.issue("worker", address)
	ca := filepath.Join(ours.dir, "ca.pem")
	at := func(settings map[string]string) string {
		q := url.Values{"sslmode": {"verify-full"}, "sslrootcert": {ca}, "sslcert": {worker}, "sslkey": {key}, "connect_timeout": {"10"}}
		for name, value := range settings {
			q.Set(name, value)
			if value == "" {
				q.Del(name)
			}
		}
		return (&url.URL{Scheme: "postgres", User: url.User("worker"), Host: address.String(), Path: "/hone", RawQuery: q.Encode()}).String()
	}
	s, err := storage.Open(t.Context(), at(nil), storage.Options{Migrate: true})
	require.NoError(t, err)
	defer s.Close()
	run, _ := cycled(t, s, 1)
	head, err := s.Head(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, 1, head.Number)
	conn := connect(t, server.URL("hone"))
	const connections = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE "
	require.Positive(t, count(t, conn, connections+"ssl AND client_dn = '/CN=worker'"))
	require.Zero(t, count(t, conn, connections+"NOT ssl AND usename = 'worker'"))

	for name, c := range map[string]struct {
		settings map[string]string
		want     error
	}{
		"no certificate":             {map[string]string{"sslcert": "", "sslkey": ""}, hone.ErrInvalid},
		"another user's certificate": {map[string]string{"sslcert": other, "sslkey": otherKey}, hone.ErrInvalid},
		"no TLS":                     {map[string]string{"sslmode": "disable"}, hone.ErrInvalid},
		"an authority not known":     {map[string]string{"sslcert": foreign, "sslkey": foreignKey}, hone.ErrUnavailable},
		"a server not known":         {map[string]string{"sslrootcert": filepath.Join(theirs.dir, "ca.pem")}, hone.ErrUnavailable},
		"a file that is not there":   {map[string]string{"sslrootcert": filepath.Join(ours.dir, "none.pem")}, hone.ErrInvalid},
	} {
		_, err := storage.Open(t.Context(), at(c.settings), storage.Options{})
		require.ErrorIs(t, err, c.want, name)
	}
	// The name that was asked for must be the certificate's.
	mine, mineKey := ours.issue("server", net.IPv4(127, 0, 0, 1))
	for name, file := range map[string]string{"server.crt": mine, "server.key": mineKey} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		serverFile(t, conn, name, text)
	}
	_, err = conn.Exec(t.Context(), "SELECT pg_reload_conf()")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		again, err := storage.Open(t.Context(), at(nil), storage.Options{})
		if err == nil {
			again.Close()
			return false
		}
		require.ErrorIs(t, err, hone.ErrUnavailable)
		require.ErrorContains(t, err, "certificate is valid for 127.0.0.1")
		return true
	}, 30*time.Second, 50*time.Millisecond)
}
