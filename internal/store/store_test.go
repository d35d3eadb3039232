package store

import (
	"bytes"
	"iter"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// This one ends by itself, a second after the database is closed.
	const drain = "github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(drain))
}

// collect returns copies of the rows of a scan.
func collect(t *testing.T, rows iter.Seq2[Row, error]) []Row {
	t.Helper()
	var all []Row
	for r, err := range rows {
		require.NoError(t, err)
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		all = append(all, r)
	}
	return all
}

func remove(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(path))
}
