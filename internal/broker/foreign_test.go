package broker

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

// FuzzMemberMetadata reads what a member of another library may say of itself.
func FuzzMemberMetadata(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 'x', 0, 0, 0, 0})
	f.Add([]byte{0, 3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		meta := metadataOf(sarama.GroupMember{MemberId: "m", Metadata: b})
		require.LessOrEqual(t, len(meta.UserData), len(b))
	})
}

func TestMemberThatCannotBeReadSaysNothing(t *testing.T) {
	meta := metadataOf(sarama.GroupMember{MemberId: "m", Metadata: []byte("nonsense")})
	require.EqualValues(t, -1, meta.GenerationID)
	require.Empty(t, meta.UserData)
}
