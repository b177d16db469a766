package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hone-rl/hone"
)

// Cache is a directory of content that can be had again, kept to a size: what was used longest ago goes first. Any number of processes
// may share one.
type Cache struct {
	dir   *Dir
	limit int64

	// mu makes one goroutine at a time look for what has to go.
	mu sync.Mutex
}

// OpenCache makes a cache of up to limit bytes, >= 0, in path, which is created. The content that was put last stays even where it alone is
// larger.
func OpenCache(path string, limit int64) (*Cache, error) {
	if limit < 0 {
		return nil, fmt.Errorf("cache of %d bytes: want 0 or more: %w", limit, hone.ErrInvalid)
	}
	dir, err := OpenDir(path)
	if err != nil {
		return nil, err
	}
	return &Cache{dir: dir, limit: limit}, nil
}

// Put stores what write writes, as [Store] does, and then removes what has become too much.
func (c *Cache) Put(ctx context.Context, write func(io.Writer) error) (Digest, int64, error) {
	digest, size, err := c.dir.Put(ctx, write)
	if err != nil {
		return "", 0, err
	}
	return digest, size, c.shrink(ctx, digest)
}

// Open returns the content, checked, if it is there: [hone.ErrNotFound] and [hone.ErrCorrupt] as [Store] has them. It stays readable when
// it is removed meanwhile.
func (c *Cache) Open(ctx context.Context, digest Digest) (io.ReadCloser, error) {
	r, err := c.dir.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := os.Chtimes(c.dir.file(digest), now, now); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(c.dir.fail("touch "+string(digest), err), r.Close())
	}
	return r, nil
}

// Delete removes content. Deleting what isn't there succeeds.
func (c *Cache) Delete(ctx context.Context, digest Digest) error { return c.dir.Delete(ctx, digest) }

// shrink removes what was used longest ago, but for keep, until the rest is within the limit.
func (c *Cache) shrink(ctx context.Context, keep Digest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Info
	var size int64
	for info, err := range c.dir.List(ctx) {
		if err != nil {
			return err
		}
		size += info.Size
		if info.Digest != keep {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Or(a.Stored.Compare(b.Stored), cmp.Compare(a.Digest, b.Digest)) })
	for _, oldest := range all {
		if size <= c.limit {
			return nil
		}
		if err := c.dir.Delete(ctx, oldest.Digest); err != nil {
			return err
		}
		size -= oldest.Size
	}
	return nil
}
