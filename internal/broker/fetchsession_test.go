package broker

import (
	"reflect"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// named counts the partitions that a request names.
func named(r *sarama.FetchRequest) (n int) {
	for _, topic := range reflect.ValueOf(r).Elem().FieldByName("blocks").Seq2() {
		n += topic.Len()
	}
	return n
}

func TestFetchSession(t *testing.T) {
	wanted := func(positions ...int64) (all []asked) {
		for i, at := range positions {
			all = append(all, asked{s: &Subscription{partition: kafka.Partition{Topic: "t", Index: int32(i)}}, position: at})
		}
		return all
	}
	var s fetchSession
	// round is one request: how many partitions it names, and in which session and epoch.
	round := func(w []asked, answer *sarama.FetchResponse) []int {
		req := &sarama.FetchRequest{Version: 12}
		s.request(req, w, 1000)
		s.answered(req, answer)
		return []int{named(req), int(req.SessionID), int(req.SessionEpoch)}
	}
	ok := &sarama.FetchResponse{SessionID: 7}
	require.Equal(t, []int{3, 0, newSession}, round(wanted(0, 0, 0), ok), "the first names all")
	require.Equal(t, []int{0, 7, 1}, round(wanted(0, 0, 0), ok), "nothing has changed")
	require.Equal(t, []int{1, 7, 2}, round(wanted(0, 5, 0), ok), "one has moved")
	require.Equal(t, []int{1, 7, 3}, round(wanted(0, 5, 0, 0), ok), "one has come")
	require.Equal(t, []int{2, 7, newSession}, round(wanted(0, 5), ok), "others are not wanted any more")
	require.Equal(t, []int{0, 7, 1}, round(wanted(0, 5), &sarama.FetchResponse{ErrorCode: int16(sarama.ErrFetchSessionIDNotFound)}))
	require.Equal(t, []int{2, 0, newSession}, round(wanted(0, 5), &sarama.FetchResponse{}), "the broker has forgotten it, and has no room for another")
	require.Equal(t, []int{2, 0, newSession}, round(wanted(0, 5), ok))
	alone := wanted(0)
	alone[0].alone = true
	require.Equal(t, []int{1, 0, noSession}, round(alone, &sarama.FetchResponse{}))
	require.Equal(t, []int{2, 0, newSession}, round(wanted(0, 5), ok))
}
