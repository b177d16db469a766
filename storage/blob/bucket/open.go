package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	gcblob "gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
)

// Cache says where fetched content is kept.
type Cache struct {
	// Path is its directory, which is created, and Bytes its size, >= 0.
	Path  string
	Bytes int64
}

// schemes are those of the stores that gocloud.dev opens for us.
func schemes() []string { return []string{"s3", "gs", "azblob"} }

// Open opens the store that a URL names, and makes sure that it can be reached. The cache is not used for files.
//
//	file:///path                    a directory that all machines see
//	s3://bucket?region=eu-west-1    S3; for others that speak its protocol endpoint=https://host:port&use_path_style=true
//	gs://bucket                     Google Cloud Storage
//	azblob://container              Azure Blob Storage
//
// Further parameters are those of gocloud.dev; prefix=folder/ keeps to a part of the bucket. Credentials are looked for where each cloud's
// own programs look for them. A URL that is none of these is [hone.ErrInvalid], and a store that can't be reached [hone.ErrUnavailable].
func Open(ctx context.Context, address string, c Cache) (blob.Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("blob store: %w: %w", hone.ErrInvalid, err)
	}
	if u.Scheme == "file" {
		if u.Host != "" || u.Path == "" || u.RawQuery != "" {
			return nil, fmt.Errorf("blob store %q: want file:///path, without host or parameters: %w", address, hone.ErrInvalid)
		}
		return blob.OpenDir(u.Path)
	}
	if !slices.Contains(schemes(), u.Scheme) || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("blob store %q: want file:///path, or one of %s with ://name and ?prefix=folder/ for a part of it: %w",
			address, strings.Join(schemes(), ", "), hone.ErrInvalid)
	}
	name := u.Scheme + "://" + u.Host
	b, err := gcblob.OpenBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("blob store %s: %w: %w", name, hone.ErrInvalid, err)
	}
	ok, err := b.IsAccessible(ctx)
	if err == nil && !ok {
		err = errors.New("it does not exist, or these credentials may not list it") //nolint:err113 // a sentence
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("blob store %s: %w: %w", name, hone.ErrUnavailable, err), b.Close())
	}
	near, err := blob.OpenCache(c.Path, c.Bytes)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return New(b, name, near), nil
}
