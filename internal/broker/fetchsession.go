package broker

import (
	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// fetchSession is what the broker at the other end remembers of earlier requests: a request
// names only the partitions whose position has changed, and the answer only those with
// something new. So what a thousand idle partitions cost does not grow with the requests
// that busy ones make.
//
// sarama cannot take a partition out of a session. When one is not wanted any more, such as
// one whose owner is slow, a new session begins, with one request that names all.
type fetchSession struct {
	id    int32 // 0: none
	epoch int32 // of the next request
	knows map[kafka.Partition]known
	ends  map[kafka.Partition]int64 // as the answers said: what an answer leaves out has not changed
}

// known is what the broker knows of a partition.
type known struct {
	position int64
	leader   int32 // epoch
	bytes    int32
}

// saw notes the end of a partition that an answer told.
func (s *fetchSession) saw(p kafka.Partition, end int64) {
	if s.ends != nil {
		s.ends[p] = end
	}
}

// Session epochs with a meaning of their own.
const (
	newSession = 0
	noSession  = -1
)

// request fills a request for what is wanted.
func (s *fetchSession) request(req *sarama.FetchRequest, wanted []asked, bytes int32) {
	if wanted[0].alone {
		s.forget()
		req.SessionEpoch = noSession
	} else if !s.covers(wanted) {
		req.SessionID, req.SessionEpoch = s.id, newSession // the broker drops the old one
		s.knows = make(map[kafka.Partition]known, len(wanted))
		s.ends = make(map[kafka.Partition]int64, len(wanted))
	} else {
		req.SessionID, req.SessionEpoch = s.id, s.epoch
	}
	for _, a := range wanted {
		p, is := a.s.partition, known{a.position, a.leader, bytes}
		if was, ok := s.knows[p]; ok && was == is {
			continue
		}
		req.AddBlock(p.Topic, p.Index, a.position, bytes, a.leader)
		if s.knows != nil {
			s.knows[p] = is
		}
	}
}

// covers reports whether a session goes on: all that it knows is still wanted.
func (s *fetchSession) covers(wanted []asked) bool {
	if s.id == 0 || len(s.knows) > len(wanted) {
		return false
	}
	n := 0
	for _, a := range wanted {
		if _, ok := s.knows[a.s.partition]; ok {
			n++
		}
	}
	return n == len(s.knows)
}

// answered takes what an answer says of the session. It is false when the broker has
// forgotten it, and the request has to be made again.
func (s *fetchSession) answered(req *sarama.FetchRequest, res *sarama.FetchResponse) bool {
	switch code := sarama.KError(res.ErrorCode); {
	case code == sarama.ErrFetchSessionIDNotFound, code == sarama.ErrInvalidFetchSessionEpoch:
		s.forget()
		return false
	case req.SessionEpoch == noSession:
	case res.SessionID == 0: // the broker has no room for it
		s.forget()
	case req.SessionEpoch == newSession:
		s.id, s.epoch = res.SessionID, 1
	default:
		s.epoch++
	}
	return true
}

func (s *fetchSession) forget() { *s = fetchSession{} }
