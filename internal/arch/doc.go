// Package arch has no code: its tests read the source of the whole module and hold it to the
// rules of its structure. The rules, and how to change one, are in rules_test.go.
package arch
