package bucket

import (
	"context"
	"time"

	"gocloud.dev/gcerrors"

	"github.com/hone-rl/hone/storage/blob"
)

// DeleteOlder implements [blob.Collected]. The stores can't tell an age and delete in one step: what is put between the two requests is
// lost, and has to be put again.
func (s *Store) DeleteOlder(ctx context.Context, digest blob.Digest, than time.Time) (deleted bool, err error) {
	if err := digest.Validate(); err != nil {
		return false, err
	}
	attributes, err := s.bucket.Attributes(ctx, key(digest))
	if gcerrors.Code(err) == gcerrors.NotFound {
		return false, nil
	}
	if err != nil {
		return false, s.fail("look at "+string(digest), err)
	}
	if !attributes.ModTime.Before(than) {
		return false, nil
	}
	return true, s.Delete(ctx, digest)
}
