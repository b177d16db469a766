package bucket_test

import (
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
	gcblob "gocloud.dev/blob"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/blob/bucket"
)

// s3 is the URL of an empty bucket on a server that speaks S3's protocol.
func s3(t *testing.T) string {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("weights"))
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return "s3://weights?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape(server.URL)
}

func TestStoreOverS3(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	address := s3(t)
	b, err := gcblob.OpenBucket(t.Context(), address+"&prefix=part/")
	require.NoError(t, err)
	conform(t, b)
	require.NoError(t, b.Close())

	open := func(address string) (blob.Store, error) {
		return bucket.Open(t.Context(), address, bucket.Cache{Path: t.TempDir(), Bytes: 1 << 20})
	}
	one, err := open(address)
	require.NoError(t, err)
	_, _, err = one.Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	other, err := open(address)
	require.NoError(t, err)
	require.Equal(t, "hello\n", read(t, other, helloDigest))

	_, err = open("s3://elsewhere" + address[len("s3://weights"):])
	require.ErrorIs(t, err, hone.ErrUnavailable)
	require.ErrorContains(t, err, "s3://elsewhere")
	require.NotContains(t, err.Error(), "secret")
}

func TestOpenOfFilesIsADirectory(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s, err := bucket.Open(t.Context(), "file://"+path, bucket.Cache{Path: filepath.Join(path, "unused")})
	require.NoError(t, err)
	require.IsType(t, &blob.Dir{}, s)
	_, _, err = s.Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(path, helloKey))
	require.NoDirExists(t, filepath.Join(path, "unused"))
}

func TestOpenRefusesWhatNamesNoStore(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "weights", "/var/weights", "ftp://host/weights", "file://host/weights", "file:///weights?x=1", "s3://", "s3://weights/folder",
		"s3://weights?no_such_parameter=1", "gs:weights", "mem://", ":",
	} {
		_, err := bucket.Open(t.Context(), address, bucket.Cache{Path: t.TempDir()})
		require.ErrorIs(t, err, hone.ErrInvalid, "%q", address)
	}
}
