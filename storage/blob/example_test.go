package blob_test

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/hone-rl/hone/storage/blob"
)

func ExampleDir() {
	path, err := os.MkdirTemp("", "hone-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(path)
	store, err := blob.OpenDir(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	digest, size, err := store.Put(context.Background(), func(w io.Writer) error {
		_, err := io.WriteString(w, "hello\n")
		return err
	})
	fmt.Println(digest[:8], size, err)
	// Output:
	// 5891b5b5 6 <nil>
}
