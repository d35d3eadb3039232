package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
)

// manifest is the file that describes a store on disk: what it is the state of and, of a
// window store, which segments it has.
type manifest struct {
	id       uint64 // random: whose the other files are
	origin   string
	layout   string   // how the rows are laid out
	base     position // of a store without segments
	segments []segmentState
}

// segmentState is what the manifest knows of a segment.
type segmentState struct {
	id int64
	// created: every changelog record of a row of the segment is at it or behind it.
	created int64
	// complete: no changelog record before it is missing in the segment.
	complete int64
	// durable is the offset that the segment's database had when it was flushed last. A
	// database that is behind it has lost something. -1: never flushed.
	durable int64
}

const (
	manifestName = "STORE"
	// manifestMagic has the format of the whole store as its last number. Raise it when
	// anything on disk changes: stores of another format are restored anew.
	manifestMagic = "streams store 3\n"
)

var errManifest = errors.New("the file " + manifestName + " is damaged or of another format")

func (m *manifest) encode() []byte {
	b := binary.LittleEndian.AppendUint64([]byte(manifestMagic), m.id)
	for _, s := range []string{m.origin, m.layout} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = appendPosition(b, m.base)
	b = binary.AppendUvarint(b, uint64(len(m.segments)))
	for _, s := range m.segments {
		b = binary.AppendVarint(b, s.id)
		b = binary.AppendVarint(b, s.created)
		b = binary.AppendVarint(b, s.complete)
		b = binary.AppendVarint(b, s.durable)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeManifest(b []byte) (*manifest, error) {
	body := len(b) - 4
	if n := len(manifestMagic); len(b) >= n && string(b[:n]) != manifestMagic {
		return nil, fmt.Errorf("%w: it begins with %q, not %q", errManifest, b[:n], manifestMagic)
	}
	if body < len(manifestMagic) || crc32.Checksum(b[:body], castagnoli) != binary.LittleEndian.Uint32(b[body:]) {
		return nil, errManifest
	}
	r := fields{b: b[len(manifestMagic):body]}
	m := &manifest{id: r.uint64(), origin: string(r.bytes(r.uvarint())), layout: string(r.bytes(r.uvarint()))}
	m.base, _ = readPosition(r.bytes(2 * timeLen))
	for range r.uvarint() {
		m.segments = append(m.segments, segmentState{r.varint(), r.varint(), r.varint(), r.varint()})
		if r.short {
			break
		}
	}
	if r.short || len(r.b) != 0 {
		return nil, errManifest
	}
	return m, nil
}

// fields reads what encode appended.
type fields struct {
	b     []byte
	short bool // there was less than what was asked for
}

func (f *fields) uint64() uint64 {
	b := f.bytes(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	f.skip(n)
	return v
}

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.b)
	f.skip(n)
	return v
}

func (f *fields) skip(n int) {
	if n <= 0 {
		f.short = true
		return
	}
	f.b = f.b[n:]
}

func (f *fields) bytes(n uint64) []byte {
	if n > uint64(len(f.b)) {
		f.short = true
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

// readManifest reads the manifest of the store in dir. It is os.ErrNotExist when there
// is none.
func readManifest(d Disk, dir string) (*manifest, error) {
	b, err := d.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	return decodeManifest(b)
}

// write replaces the manifest in dir, durably, at once or not at all.
func (m *manifest) write(d Disk, dir string) error {
	path := filepath.Join(dir, manifestName)
	if err := d.WriteFile(path+".new", m.encode(), true); err != nil {
		return err
	}
	if err := d.Rename(path+".new", path); err != nil {
		return err
	}
	return d.SyncDir(dir)
}
