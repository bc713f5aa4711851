package truststore

import (
	"testing"
	"time"

	"bottle/pkg/ca"
)

func BenchmarkJKS(b *testing.B) {
	bundle, err := ca.Bundle()
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		if _, err := JKS(bundle, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
