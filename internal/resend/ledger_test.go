package resend

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

var at = kafka.Partition{Topic: "dead", Index: 1}

func TestLedgerJoinsWhatTouches(t *testing.T) {
	l := &Ledger{topicID: "id", sent: map[kafka.Partition]spans{at: {before: 5, also: [][2]int64{{8, 9}}}}}
	o, s, err := l.with(at, 2, [][2]int64{{12, 12}, {6, 6}, {10, 10}})
	require.NoError(t, err)
	require.Equal(t, spans{5, [][2]int64{{6, 6}, {8, 10}, {12, 12}}}, s)
	require.Equal(t, kafka.Offset{At: 5, Metadata: `{"topic":"id","also":[[6,6],[8,10],[12,12]]}`}, o)

	l.sent[at] = s
	o, s, err = l.with(at, 2, [][2]int64{{5, 7}})
	require.NoError(t, err)
	require.Equal(t, kafka.Offset{At: 11, Metadata: `{"topic":"id","also":[[12,12]]}`}, o)
	require.Equal(t, spans{11, [][2]int64{{12, 12}}}, s)
}

func TestLedgerForgetsWhatIsDeleted(t *testing.T) {
	l := &Ledger{sent: map[kafka.Partition]spans{at: {before: 1, also: [][2]int64{{3, 3}}}}}
	_, s, err := l.with(at, 10, [][2]int64{{12, 12}})
	require.NoError(t, err)
	require.Equal(t, spans{10, [][2]int64{{12, 12}}}, s)
}

func TestLedgerIsNoLongerThanKafkaTakes(t *testing.T) {
	l := &Ledger{sent: map[kafka.Partition]spans{}}
	var apart [][2]int64
	for i := range int64(1000) {
		apart = append(apart, [2]int64{2*i + 1, 2*i + 1})
	}
	_, _, err := l.with(at, 0, apart)
	require.ErrorContains(t, err, "dead/1: too many letters that lie apart")
}

// In whatever order letters are sent, the ledger has those that were, and no others.
func TestLedgerHasWhatWasSent(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		l, sent := &Ledger{sent: map[kafka.Partition]spans{}}, map[int64]bool{}
		for range 30 {
			from := int64(r.IntN(60))
			to := from + int64(r.IntN(4))
			_, s, err := l.with(at, 0, [][2]int64{{from, to}})
			require.NoError(t, err)
			l.sent[at] = s
			for o := from; o <= to; o++ {
				sent[o] = true
			}
			for o := range int64(70) {
				require.Equal(t, sent[o], l.Sent(at, o), "seed %d, offset %d", seed, o)
			}
		}
	}
}
