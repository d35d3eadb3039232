package streams

import (
	_ "github.com/IBM/sarama"
	_ "github.com/google/uuid"
	_ "github.com/stretchr/testify/require"
	_ "github.com/syndtr/goleveldb/leveldb"
	_ "go.uber.org/goleak"
)
