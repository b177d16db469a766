package blob

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Collected is a [Store] that can tell in one step that content is old and give it up, so that what is put at the same moment stays.
type Collected interface {
	Store

	// DeleteOlder removes content that was last put before a time, and tells whether it did. Content that isn't there is no error.
	DeleteOlder(ctx context.Context, d Digest, than time.Time) (deleted bool, err error)
}

// DeleteOlder is the store's, or for one that has none [Store.Delete]: what is put again between a look at its age and this call is
// then lost, and the put has to be repeated.
func DeleteOlder(ctx context.Context, s Store, d Digest, than time.Time) (deleted bool, err error) {
	if c, ok := s.(Collected); ok {
		return c.DeleteOlder(ctx, d, than)
	}
	return true, s.Delete(ctx, d)
}

// DeleteOlder implements [Collected]. What looks old is first taken away, and put back if it turns out to be young: a put at any moment
// either lies in the file that was taken or makes another one. Who dies in between leaves it where [Dir.Open] finds it. One delete of the
// same content at a time, which is the callers' care.
func (d *Dir) DeleteOlder(_ context.Context, digest Digest, than time.Time) (deleted bool, err error) {
	if err := digest.Validate(); err != nil {
		return false, err
	}
	deleted, err = d.deleteOlder(d.file(digest), than)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, d.fail("delete "+string(digest), err)
	}
	return deleted, nil
}

func (d *Dir) deleteOlder(name string, than time.Time) (deleted bool, err error) {
	if info, err := os.Stat(name); err != nil || !info.ModTime().Before(than) {
		return false, err
	}
	taken := d.aside(Digest(filepath.Base(name)))
	if err := os.Rename(name, taken); err != nil {
		return false, err
	}
	info, err := os.Stat(taken)
	if err != nil || !info.ModTime().Before(than) {
		return false, errors.Join(err, os.Rename(taken, name))
	}
	return true, os.Remove(taken)
}

// aside is where content is while it is looked at for the last time.
func (d *Dir) aside(digest Digest) string { return filepath.Join(d.tmp(), asidePrefix+string(digest)) }

const asidePrefix = "old-"

// putBack gives content its name that a delete took aside and neither deleted nor put back.
func (d *Dir) putBack(digest Digest) error {
	err := os.Rename(d.aside(digest), d.file(digest))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
